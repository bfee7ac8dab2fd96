"""Festival's voices of other languages, cut from recordings of real speakers, and their phones' names."""

from __future__ import annotations

from dataclasses import dataclass

from engine.errors import EngineError


def _pairs(text: str) -> dict[str, str]:
    """`a=b` pairs; a name alone stands for itself."""
    return {name: to or name for name, _, to in (pair.partition("=") for pair in text.split())}


_ITALIAN = _pairs(
    "a=aa a1=aa e=ey e1=ey E=eh E1=eh i=iy i1=iy o=ow o1=ow O=ao O1=ao u=uw u1=uw j=y w p t k b d g f s S=sh "
    "v z Z=zh ts tS=ch dz dZ=jh m n J=n ng nf=v l L=y r=rr #=pau"
)
_CZECH = _pairs(
    "a=aa a:=aa e=eh e:=eh i=iy i:=iy o=ow o:=ow u=uw u:=uw b c=ts c~=ch ch=hh d d~=d dz dz~=jh f g h=hh j=y "
    "k l m n n*=ng n~=n p r=rr r~=zh r~*=sh s s~=sh t t~=t v z z~=zh _=pau #=pau"
)
_FINNISH_SHORT = _pairs(
    "a=aa e=eh i=iy o=ow u=uw y=ue @=ae 7=oe p t k b d g f T=th D=dh s z S=sh Z=zh h=hh v m n N=ng l L=l "
    "r=rr j=y w"
)
_FINNISH = {
    **_FINNISH_SHORT,
    **{f"{name}:": to for name, to in _FINNISH_SHORT.items()},
    **_pairs("&=ax #=pau ##=pau"),
}
_RUSSIAN_HARD = _pairs("p b t d k g f v s z m n l r=rr h=hh")
_RUSSIAN = {
    **_RUSSIAN_HARD,
    **{2 * name: to for name, to in _RUSSIAN_HARD.items()},
    **_pairs(
        "ii=iy yy=ih uu=uw ee=eh oo=ow aa a=ah e=eh i=ih y=ih u=uh ae=ax ay=ax ur=uh c=ts ch sh sch=sh zh "
        "j=y pau"
    ),
}
_HINDI = _pairs(
    "a=ah aa ih iy uh uw eh=ey ee=ey ay=eh oh=ow oo=ow aw=ao @=ax f k kh=k g gh=g ch j=jh T=t D=d N=n th=t "
    "tth=t td=t dh=d ddh=d n p b bh=b m y r=rr R=rr l L=l v w s sh ksh=sh sri=s zh h=hh x=pau pau"
)


@dataclass(frozen=True)
class RecordedVoice:
    """A voice of festival.

    Attributes:
        function: what selects it in festival, without `voice_`.
        package: the Debian package.
        language: a key of `engine.train.data.words.WORDS`.
        encoding: of the text it reads.
        f0_hz: its natural pitch (median, measured).
        phones: its phone set, each to an ARPAbet-like name of `engine.train.data.coarticulation`.
        fixed: whole pieces are joined as they are, so pitch and rate follow from the vocal tract alone.
    """

    function: str
    package: str
    language: str
    encoding: str
    f0_hz: float
    phones: dict[str, str]
    fixed: bool = False

    def name(self, phone: str) -> str:
        """The ARPAbet-like name of a phone.

        Raises:
            EngineError: the phone is not in the voice's phone set.
        """
        if phone not in self.phones:
            raise EngineError(f"voice {self.function} has an unknown phone '{phone}': add it to its table")
        return self.phones[phone]


RECORDED = {
    "lp": RecordedVoice("lp_diphone", "festvox-italp16k", "it", "iso8859-1", 210.0, _ITALIAN),
    "pc": RecordedVoice("pc_diphone", "festvox-itapc16k", "it", "iso8859-1", 119.0, _ITALIAN),
    "dita": RecordedVoice("czech_dita", "festvox-czech-dita", "cs", "iso8859-2", 220.0, _CZECH),
    "krb": RecordedVoice("czech_krb", "festvox-czech-krb", "cs", "iso8859-2", 255.0, _CZECH),
    "machac": RecordedVoice("czech_machac", "festvox-czech-machac", "cs", "iso8859-2", 75.0, _CZECH),
    "ph": RecordedVoice("czech_ph", "festvox-czech-ph", "cs", "iso8859-2", 135.0, _CZECH),
    "lj": RecordedVoice("suo_fi_lj_diphone", "festvox-suopuhe-lj", "fi", "iso8859-1", 164.0, _FINNISH),
    "mv": RecordedVoice("hy_fi_mv_diphone", "festvox-suopuhe-mv", "fi", "iso8859-1", 97.0, _FINNISH),
    "nsh": RecordedVoice("msu_ru_nsh_clunits", "festvox-ru", "ru", "utf-8", 145.0, _RUSSIAN, fixed=True),
    "nsk": RecordedVoice("hindi_NSK_diphone", "festvox-hi-nsk", "hi", "utf-8", 130.0, _HINDI),
}
"""By the name the speakers go by. Marathi's and Telugu's `NSK` voices are the same recordings as Hindi's."""
