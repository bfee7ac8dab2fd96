"""Every network at toy size: shapes, batch norms, and the composition of a frame."""

from __future__ import annotations

from dataclasses import astuple

import pytest

pytest.importorskip("torch")
pytest.importorskip("skia")
pytest.importorskip("onnx")

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.export.graphs import ReaderGraph
from engine.train.data.coarticulation import PHONES
from engine.train.data.shards import REGIONS, view_of
from engine.train.data.studio import EYE_VIEWS, MOUTH_VIEW
from engine.train.instruments import READER_PX, reader_views
from engine.train.models import geometry as geo
from engine.train.models.audio_encoder import (
    MOUTH_CONTROLS,
    PRESSED_AT,
    READINGS,
    AudioEncoder,
    MouthHead,
    PhoneHead,
)
from engine.train.models.autoencoder import (
    PATCH_BOXES,
    Autoencoder,
    compose,
    patch_sheet,
    views,
    working_size,
)
from engine.train.models.config import NANO, TOY
from engine.train.models.denoiser import AppearanceNet, Denoiser, LatentDiscriminator, MotionPrior
from engine.train.models.instruments import FaceLocator, Reader, face_mask
from engine.train.models.latent_space import LATENT_SHAPE, LatentSpace
from engine.train.models.layers import freeze_norms
from engine.types import CONTROL_NAMES

COUNT = len(CONTROL_NAMES)
LATENT = LATENT_SHAPE
WHOLE = geo.Box(0, 0, geo.REFERENCE_PX, geo.REFERENCE_PX)


@pytest.fixture(autouse=True)
def one_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def autoencoder() -> Autoencoder:
    return Autoencoder(TOY).eval()


def decoded(frames: int, *, flow: float = 0.0, mask: float = 0.0) -> dict[str, Tensor]:
    """What a decoder could have returned: random smooth flows and patches, or none."""
    sides = {"flow": 96, "patch_flow": 24}
    out = {name: flow * torch.randn(frames, 2, side, side) for name, side in sides.items()}
    for name, box in PATCH_BOXES.items():
        patch = torch.rand(frames, 4, box.height, box.width)
        patch[:, 3] *= mask
        out[name] = patch
    return out


def test_encoder_reads_a_latent_off_three_views(autoencoder: Autoencoder) -> None:
    seen = views(torch.rand(3, 4, geo.REFERENCE_PX, geo.REFERENCE_PX))
    assert [tuple(v.shape[1:]) for v in seen] == [(4, 96, 96), (3, 72, 72), (3, 68, 106)]
    assert autoencoder.encoder(seen, seen).shape == (3, *LATENT)


def test_latent_space_is_exact_and_of_unit_variance() -> None:
    space = LatentSpace()
    controls = space.mean + space.std * torch.randn(4000, COUNT)
    latents = space(controls)
    assert latents.shape == (4000, *LATENT)
    assert abs(float(latents.var()) - 1.0) < 0.05
    torch.testing.assert_close(space.controls(latents), controls, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("clip_length", TOY.clip_lengths)
def test_motion_prior_whitens_and_goes_back(clip_length: int) -> None:
    """Smooth motion becomes innovations of unit variance that are alike from frame to frame."""
    prior, longest = MotionPrior(TOY), max(TOY.clip_lengths)
    steps = torch.randn(3000, 60 + longest, *LATENT)
    track = 0.2 * torch.stack([steps[:, i : i + 20].sum(1) for i in range(40 + longest)], dim=1)
    past = torch.stack([track[:, 40 - lag] for lag in TOY.motion_lags], dim=1)
    clips = track[:, 40:]
    prior.fit(clips, past)
    clips = clips[:, :clip_length]
    innovations = prior.innovations(clips, past)
    torch.testing.assert_close(prior.latents(innovations, past), clips, atol=1e-3, rtol=0.0)
    assert abs(float(innovations.std()) - 1.0) < 0.05
    if clip_length > 1:
        pairs = torch.stack([innovations[:, 0].flatten(), innovations[:, 1].flatten()])
        assert abs(float(torch.corrcoef(pairs)[0, 1])) < 0.05


def test_reference_banks_and_decoder(autoencoder: Autoencoder) -> None:
    picture = torch.rand(2, 4, geo.REFERENCE_PX, geo.REFERENCE_PX)
    banks = autoencoder.reference(picture)
    assert {k: v.shape[0] for k, v in banks.items() if k.startswith("eyes_")} == {
        "eyes_quarter": 4,
        "eyes_half": 4,
        "eyes_crop": 4,
    }
    assert banks["flow_fields"].shape == (2, TOY.flow_fields, 2, 96, 96)
    assert banks["patch_flow_fields"].shape == (2, TOY.patch_flow_fields, 2, 24, 24)
    made = autoencoder.decoder(torch.randn(2, *LATENT), torch.randn(2, *LATENT), banks)
    shapes = {name: tuple(value.shape) for name, value in made.items() if not name.endswith(("moved", "new"))}
    assert shapes == {
        "flow": (2, 2, 96, 96),
        "patch_flow": (2, 2, 24, 24),
        "mouth": (2, 4, 72, 80),
        "eye_left": (2, 4, 88, 80),
        "eye_right": (2, 4, 88, 80),
    }
    for name in PATCH_BOXES:
        mask = made[name][:, 3]
        assert mask.min() >= 0.0 and mask.max() <= 1.0


def test_what_does_not_move_stays_in_place(autoencoder: Autoencoder) -> None:
    picture = torch.rand(1, 4, geo.REFERENCE_PX, geo.REFERENCE_PX)
    z = torch.randn(1, *LATENT)
    made = autoencoder.decoder(z, z, autoencoder.reference(picture))
    assert made["flow"].abs().max() == 0.0
    assert made["patch_flow"].abs().max() == 0.0


def test_a_face_moves_neither_hair_nor_body(autoencoder: Autoencoder) -> None:
    banks = autoencoder.reference(torch.rand(1, 4, geo.REFERENCE_PX, geo.REFERENCE_PX))
    z = torch.randn(1, *LATENT)
    for name, expected in (("jawOpen", False), ("browInnerUp", False), ("headYaw", True)):
        moved = z.clone()
        moved[:, CONTROL_NAMES.index(name)] += 1.0
        flow = autoencoder.decoder.flows(moved, z, banks)["flow"]
        assert flow[:, :, 30:80, 40:56].abs().max() > 0.0, name
        assert (flow[:, :, :, :10].abs().max() > 0.0) == expected, name


def test_audio_encoder_and_its_teacher() -> None:
    encoder, head = AudioEncoder(TOY).eval(), MouthHead(TOY).eval()
    audio_emb = encoder(torch.randn(5, 40, 40))
    assert audio_emb.shape == (5, TOY.audio_tokens, TOY.audio_width)
    assert head(audio_emb).shape == (5, READINGS)


@pytest.mark.parametrize("clip_length", TOY.clip_lengths)
def test_denoiser_and_discriminator(clip_length: int) -> None:
    b, f = 2, clip_length
    x, audio_emb = torch.randn(b, f, *LATENT), torch.randn(b, f, TOY.audio_tokens, TOY.audio_width)
    state, ref_latent = torch.zeros(b, f, dtype=torch.int64), torch.randn(b, *LATENT)
    motion = torch.randn(b, TOY.motion_frames, *LATENT)
    net = Denoiser(TOY)
    bank = net.keys_values(torch.randn(b, 36, TOY.bank_width))
    assert net(x, torch.rand(b), audio_emb, state, motion, bank, ref_latent).shape == x.shape
    assert LatentDiscriminator(TOY)(x, audio_emb, state, ref_latent).shape == (b, f)


def test_new_denoiser_returns_a_clean_input() -> None:
    """Its skip makes timestep 0 its own answer, the boundary condition of a consistency model."""
    f, net = 3, Denoiser(TOY).eval()
    nn.init.zeros_(net.out.bias)
    x = torch.randn(1, f, *LATENT)
    x0 = net(
        x,
        torch.zeros(1),
        torch.randn(1, f, TOY.audio_tokens, TOY.audio_width),
        torch.zeros(1, f, dtype=torch.int64),
        torch.randn(1, TOY.motion_frames, *LATENT),
        net.keys_values(torch.randn(1, 36, TOY.bank_width)),
        torch.randn(1, *LATENT),
    )
    torch.testing.assert_close(x0, x)


@pytest.mark.parametrize(("said", "aperture"), [("t", 0.6), ("m", 0.0)])
def test_lips_are_what_the_sound_tells_while_the_avatar_speaks(said: str, aperture: float) -> None:
    f, net = 4, Denoiser(TOY).eval()
    audio_emb = torch.randn(1, f, TOY.audio_tokens, TOY.audio_width)
    x0, motion = torch.randn(1, f, *LATENT), torch.randn(1, TOY.motion_frames, *LATENT)
    with torch.no_grad():
        net.mouth.net[-1].bias.copy_(torch.tensor([0.6, 0.1, 0.3, 0.2, 0.4, 0.5, 0.25]))
        net.mouth.net[-1].weight.zero_()
        net.phones.net[-1].bias[PHONES.index(said)] = 50.0
        generated = net.prior.latents(x0, motion)
        state = torch.tensor([[0, 1, 2, 0]])
        made = net.latents(x0, net.readings(audio_emb), state, motion)
    controls = net.space.controls(made)[0]
    for frame in (0, 3):
        told = {name: controls[frame, CONTROL_NAMES.index(name)].item() for name in MOUTH_CONTROLS}
        assert told["jawOpen"] == pytest.approx(0.6, abs=1e-5)
        # The lips are pressed together or they are not: the mean of the two would be neither.
        assert told["jawOpen"] * (1.0 - told["mouthClose"]) == pytest.approx(aperture, abs=1e-5)
        assert told["mouthPucker"] == pytest.approx(0.2, abs=1e-5)
    heads = [i for i, name in enumerate(CONTROL_NAMES) if name not in MOUTH_CONTROLS]
    torch.testing.assert_close(made[:, :, heads], generated[:, :, heads])
    torch.testing.assert_close(made[:, 1:3], generated[:, 1:3])


def test_closed_jaws_need_no_pressed_lips() -> None:
    net = Denoiser(TOY).eval()
    readings = torch.tensor([[[0.04, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, -8.0]]])
    made = net.latents(
        torch.zeros(1, 1, *LATENT),
        readings,
        torch.zeros(1, 1, dtype=torch.int64),
        torch.zeros(1, TOY.motion_frames, *LATENT),
    )
    assert net.space.controls(made)[0, 0, CONTROL_NAMES.index("mouthClose")] == pytest.approx(0.5, abs=1e-5)


@pytest.mark.parametrize(
    ("now", "later", "presses"),
    [("m", "m", True), ("m", "t", True), ("t", "m", False), ("t", "t", False)],
)
def test_lips_press_where_the_frame_s_own_phone_and_the_next_agree(
    now: str, later: str, presses: bool
) -> None:
    teller = PhoneHead(TOY).eval()
    heard = torch.zeros(1, TOY.audio_tokens, TOY.audio_width)
    with torch.no_grad():
        layer = teller.net[-1]
        layer.weight.zero_()
        layer.bias.zero_()
        for channel, phone in enumerate("mt"):
            layer.weight[PHONES.index(phone), channel] = 30.0
        heard[0, -2, "mt".index(now)] = heard[0, -1, "mt".index(later)] = 1.0
        assert (teller.bilabial(heard).item() > PRESSED_AT) == presses


def test_instruments() -> None:
    picture = torch.rand(2, 4, geo.REFERENCE_PX, geo.REFERENCE_PX)
    assert FaceLocator().eval()(working_size(picture)).shape == (2, 7, 2)
    assert Reader(TOY).eval()(views(picture), views(picture)).shape == (2, COUNT + 1)
    face = face_mask(torch.rand(2, 7, 2), AppearanceNet.GRID)
    assert AppearanceNet(TOY).eval()(working_size(picture), face).shape == (2, 36, TOY.bank_width)


def test_the_reader_is_shown_the_same_in_training_and_in_a_pack() -> None:
    """A picture's regions as `pairs` holds them, and the picture at the size that the graph takes."""
    reader, picture = Reader(TOY).eval(), torch.rand(2, 4, geo.REFERENCE_PX, geo.REFERENCE_PX)
    nn.init.normal_(reader.aperture.weight)
    ref = picture.flip(0)[:1]
    batch = {f"region_{name}": box.crop(picture)[:, :3] for name, box in REGIONS.items()}
    seen, refs = reader_views({"frame": working_size(picture), "ref": ref, **batch})
    for view, wanted in zip(seen, views(picture), strict=True):
        torch.testing.assert_close(view, wanted)
    small = [F.avg_pool2d(v, geo.REFERENCE_PX // READER_PX) for v in (picture, ref)]
    torch.testing.assert_close(ReaderGraph(reader)(*small), reader(seen, refs), rtol=1e-4, atol=1e-4)


def test_the_reader_measures_what_the_frame_encoder_sees() -> None:
    """It begins with the encoder's weights: its controls are the encoder's latent."""
    reader, seen = Reader(TOY).eval(), views(torch.rand(2, 4, geo.REFERENCE_PX, geo.REFERENCE_PX))
    latent = reader.encoder(seen, seen)
    torch.testing.assert_close(reader(seen, seen)[:, :COUNT], LatentSpace().controls(latent))


def test_face_mask_is_high_inside_the_landmarks_only() -> None:
    landmarks = torch.tensor([[-0.5, -0.5], [0.0, -0.5], [-0.25, 0.0]])[None]
    mask = face_mask(landmarks, (8, 8))[0, 0]
    assert mask.shape == (8, 8)
    assert mask[2, 3] > 0.5
    assert mask[7, 7] < 0.01


def test_frozen_norms_keep_their_statistics() -> None:
    net = Autoencoder(TOY).train()
    seen = views(torch.rand(4, 4, geo.REFERENCE_PX, geo.REFERENCE_PX))
    freeze_norms(net)
    before = {k: v.clone() for k, v in net.state_dict().items() if "running" in k}
    net.encoder(seen, seen)
    after = net.state_dict()
    assert before
    assert all(torch.equal(value, after[key]) for key, value in before.items())
    assert net.training
    assert not any(m.training for m in net.modules() if isinstance(m, nn.BatchNorm2d))


def whole(made: dict[str, Tensor], picture: Tensor) -> Tensor:
    return compose(made, patch_sheet(made), picture, picture.shape[-1])


@pytest.mark.parametrize("size_px", [256, 384, 512])
def test_composition_of_nothing_is_the_picture(size_px: int) -> None:
    picture = torch.rand(2, 4, size_px, size_px)
    torch.testing.assert_close(whole(decoded(2), picture), picture, atol=2e-4, rtol=0.0)


def test_patches_stay_inside_their_region() -> None:
    picture = torch.rand(1, 4, geo.REFERENCE_PX, geo.REFERENCE_PX)
    frame = whole(decoded(1, mask=1.0), picture)
    changed = (frame - picture).abs().amax(dim=(0, 1)) > 1e-3
    for box in PATCH_BOXES.values():
        assert box.crop(changed).any()
        changed[box.top - 1 : box.top + box.height + 1, box.left - 1 : box.left + box.width + 1] = False
    assert not changed.any()
    torch.testing.assert_close(frame[:, 3], picture[:, 3], atol=2e-4, rtol=0.0)


def test_whole_path_equals_the_view_path() -> None:
    """Without a view the flow is resized, with one it is sampled: the same picture."""
    made = decoded(2, flow=0.01, mask=1.0)
    picture = torch.rand(2, 4, geo.REFERENCE_PX, geo.REFERENCE_PX)
    frame, sheet = whole(made, picture), patch_sheet(made)
    view = compose(made, sheet, picture, geo.REFERENCE_PX, view=WHOLE)
    torch.testing.assert_close(frame, view, atol=1e-4, rtol=0.0)
    box = geo.MOUTH
    near = compose(made, sheet, picture, geo.REFERENCE_PX, view=box)
    torch.testing.assert_close(near, box.crop(frame), atol=1e-4, rtol=0.0)


@pytest.mark.parametrize("size_px", [96, 256, 512])
def test_grid_of_a_box_is_that_part_of_the_whole(size_px: int) -> None:
    whole = geo.pixel_grid(size_px, None, torch.device("cpu"))
    rows, columns = geo.MOUTH.slices(size_px)
    part = geo.pixel_grid(size_px, geo.MOUTH, torch.device("cpu"))
    assert torch.equal(part, whole[..., rows, columns])
    inside = geo.into_box(part, geo.MOUTH)
    assert inside.abs().max() <= 1.0


def test_working_size_averages() -> None:
    assert torch.equal(working_size(torch.ones(1, 4, 384, 384)), torch.ones(1, 4, 96, 96))


def test_presets_differ_in_size_only() -> None:
    assert (NANO.audio_tokens, NANO.audio_width) == (TOY.audio_tokens, TOY.audio_width)
    assert (NANO.motion_lags, NANO.clip_lengths) == (TOY.motion_lags, TOY.clip_lengths)


def test_patches_lie_where_the_studio_says() -> None:
    for box, view in zip((geo.MOUTH, *geo.EYES), (MOUTH_VIEW, *EYE_VIEWS), strict=True):
        assert astuple(view_of(box)) == pytest.approx(astuple(view), abs=1e-12)
