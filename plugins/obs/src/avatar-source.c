// SPDX-FileCopyrightText: LLIA contributors
// SPDX-License-Identifier: GPL-2.0-or-later
/* The source as OBS sees it: frames and sound from the client's thread, settings and visibility to it. */
#include "avatar-source.h"

#include <util/platform.h>

#include "pixels.h"

#define PLACEHOLDER_PX 512
#define LOOK_S 2.0f

static const char *avatar_name(void *type_data)
{
	UNUSED_PARAMETER(type_data);
	return obs_module_text("Avatar");
}

static int64_t os_time_ns(void)
{
	return (int64_t)os_gettime_ns();
}

static void show_placeholder(struct avatar_source *avatar)
{
	uint32_t width = (uint32_t)os_atomic_load_long(&avatar->width);
	uint32_t height = (uint32_t)os_atomic_load_long(&avatar->height);
	if (width == 0 || height == 0)
		width = height = PLACEHOLDER_PX;
	uint8_t *pixels = bmalloc((size_t)width * height * 4);
	pixels_draw_placeholder(pixels, width, height);
	struct obs_source_frame frame = {
		.data = {pixels},
		.linesize = {width * 4},
		.width = width,
		.height = height,
		.timestamp = os_gettime_ns(),
		.format = VIDEO_FORMAT_RGBA,
		.full_range = true,
	};
	obs_source_output_video(avatar->source, &frame);
	bfree(pixels);
}

static void show_loss(struct avatar_source *avatar)
{
	switch ((enum lost_choice)os_atomic_load_long(&avatar->on_lost)) {
	case ON_LOST_KEEP:
		break;
	case ON_LOST_CLEAR:
		obs_source_output_video(avatar->source, NULL);
		break;
	case ON_LOST_PLACEHOLDER:
		show_placeholder(avatar);
		break;
	}
}

static void on_lost(void *user)
{
	struct avatar_source *avatar = user;
	os_atomic_set_bool(&avatar->shows, false);
	clock_forget(&avatar->clock);
	show_loss(avatar);
}

static const uint8_t *straightened(struct avatar_source *avatar, const struct wire_frame *frame, const uint8_t *pixels)
{
	const size_t count = (size_t)frame->width * (size_t)frame->height;
	if (avatar->straight_bytes != count * 4) {
		bfree(avatar->straight);
		avatar->straight_bytes = count * 4;
		avatar->straight = bmalloc(avatar->straight_bytes);
	}
	pixels_straighten(pixels, avatar->straight, count);
	return avatar->straight;
}

static void on_frame(void *user, const struct wire_frame *frame, const uint8_t *pixels, bool live)
{
	struct avatar_source *avatar = user;
	const uint32_t width = (uint32_t)frame->width, height = (uint32_t)frame->height;
	const int64_t now_ns = os_time_ns();
	struct obs_source_frame picture = {.width = width, .height = height, .full_range = true};
	if (live)
		clock_arrived(&avatar->clock, frame->pts_samples, frame->epoch, frame->published_ns, now_ns);
	else
		clock_forget(&avatar->clock); /* how old a repeated frame is cannot be told */
	picture.timestamp = (uint64_t)(live ? clock_at_ns(&avatar->clock, frame->pts_samples) : now_ns);
	if (frame->format == WIRE_I420) {
		const size_t count = (size_t)width * height;
		picture.format = VIDEO_FORMAT_I420;
		picture.full_range = false;
		picture.data[0] = (uint8_t *)pixels;
		picture.data[1] = (uint8_t *)pixels + count;
		picture.data[2] = (uint8_t *)pixels + count + count / 4;
		picture.linesize[0] = width;
		picture.linesize[1] = picture.linesize[2] = width / 2;
		video_format_get_parameters(VIDEO_CS_601, VIDEO_RANGE_PARTIAL, picture.color_matrix,
					    picture.color_range_min, picture.color_range_max);
	} else {
		if (frame->alpha == WIRE_PREMULTIPLIED)
			pixels = straightened(avatar, frame, pixels);
		const bool opaque = frame->alpha == WIRE_OPAQUE && frame->format == WIRE_BGRA;
		picture.format = frame->format == WIRE_RGBA ? VIDEO_FORMAT_RGBA
				 : opaque                   ? VIDEO_FORMAT_BGRX
							    : VIDEO_FORMAT_BGRA;
		picture.data[0] = (uint8_t *)pixels;
		picture.linesize[0] = width * 4;
	}
	obs_source_output_video(avatar->source, &picture);
	os_atomic_set_long(&avatar->width, (long)width);
	os_atomic_set_long(&avatar->height, (long)height);
	os_atomic_set_bool(&avatar->shows, true);
}

static void play(struct avatar_source *avatar, const float *samples, size_t count, int64_t at_ns)
{
	const struct obs_source_audio sound = {
		.data = {(const uint8_t *)samples},
		.frames = (uint32_t)count,
		.speakers = SPEAKERS_MONO,
		.format = AUDIO_FORMAT_FLOAT,
		.samples_per_sec = 16000,
		.timestamp = (uint64_t)at_ns,
	};
	if (count > 0)
		obs_source_output_audio(avatar->source, &sound);
}

static void on_sound(void *user, const struct wire_echo *echo, int64_t pts_samples, const float *samples, size_t count)
{
	static const float SILENCE[1600];
	const size_t room = sizeof SILENCE / sizeof SILENCE[0];
	struct avatar_source *avatar = user;
	clock_arrived(&avatar->clock, echo->pts_samples, -1, echo->published_ns, os_time_ns());
	const struct sound_place place = sound_place(&avatar->line, &avatar->clock, pts_samples, count);
	int64_t at_ns = place.at_ns;
	for (size_t left = place.silence_samples; left > 0;) {
		const size_t piece = left < room ? left : room;
		play(avatar, SILENCE, piece, at_ns);
		at_ns += (int64_t)piece * SAMPLE_NS;
		left -= piece;
	}
	play(avatar, samples + place.skip_samples, count - place.skip_samples, at_ns);
}

static void on_log(void *user, enum client_log_level level, const char *line)
{
	const struct avatar_source *avatar = user;
	blog(level == CLIENT_LOG_WARNING ? LOG_WARNING : LOG_INFO, "[llia-obs] '%s': %s",
	     obs_source_get_name(avatar->source), line);
}

/* Tells the client what is wanted now; under `lock`. */
static void tell_wishes(struct avatar_source *avatar)
{
	avatar->wishes.video = !avatar->pauses || avatar->showing || avatar->active;
	client_wish(avatar->client, &avatar->wishes);
}

static void avatar_update(void *data, obs_data_t *settings)
{
	struct avatar_source *avatar = data;
	const char *lost = obs_data_get_string(settings, KEY_LOST);
	const bool smooth = strcmp(obs_data_get_string(settings, KEY_LATENCY), LATENCY_SMOOTH) == 0;
	const bool sound = obs_data_get_bool(settings, KEY_AUDIO);
	const int64_t sync_ms = obs_data_get_int(settings, KEY_SYNC);

	os_atomic_set_long(&avatar->on_lost, strcmp(lost, LOST_CLEAR) == 0         ? ON_LOST_CLEAR
					     : strcmp(lost, LOST_PLACEHOLDER) == 0 ? ON_LOST_PLACEHOLDER
										   : ON_LOST_KEEP);
	obs_source_set_async_unbuffered(avatar->source, !smooth);
	obs_source_set_async_decoupled(avatar->source, !smooth);
	obs_source_set_audio_active(avatar->source, sound);

	pthread_mutex_lock(&avatar->lock);
	/* It is OBS's own sync offset, which may also be set in its audio settings: only a change here changes it. */
	const bool sync_changed = sync_ms != avatar->sync_ms;
	avatar->sync_ms = sync_ms;
	snprintf(avatar->wishes.endpoint, sizeof avatar->wishes.endpoint, "%s",
		 obs_data_get_string(settings, KEY_ENDPOINT));
	snprintf(avatar->wishes.avatar_id, sizeof avatar->wishes.avatar_id, "%s",
		 obs_data_get_string(settings, KEY_AVATAR));
	avatar->wishes.sound = sound;
	avatar->pauses = strcmp(obs_data_get_string(settings, KEY_HIDDEN), HIDDEN_KEEP) != 0;
	tell_wishes(avatar);
	pthread_mutex_unlock(&avatar->lock);
	if (sync_changed)
		obs_source_set_sync_offset(avatar->source, sync_ms * 1000000);
	if (!os_atomic_load_bool(&avatar->shows))
		show_loss(avatar);
}

static void set_visible(struct avatar_source *avatar, bool *which, bool visible)
{
	pthread_mutex_lock(&avatar->lock);
	*which = visible;
	tell_wishes(avatar);
	pthread_mutex_unlock(&avatar->lock);
}

static void avatar_show(void *data)
{
	struct avatar_source *avatar = data;
	set_visible(avatar, &avatar->showing, true);
}

static void avatar_hide(void *data)
{
	struct avatar_source *avatar = data;
	set_visible(avatar, &avatar->showing, false);
}

static void avatar_activate(void *data)
{
	struct avatar_source *avatar = data;
	set_visible(avatar, &avatar->active, true);
}

static void avatar_deactivate(void *data)
{
	struct avatar_source *avatar = data;
	set_visible(avatar, &avatar->active, false);
}

static void avatar_destroy(void *data)
{
	struct avatar_source *avatar = data;
	controls_destroy(avatar);
	client_destroy(avatar->client);
	pthread_mutex_destroy(&avatar->lock);
	bfree(avatar->straight);
	bfree(avatar->status);
	bfree(avatar);
}

/* For scripts: the figures of this moment. */
static void tell_status(void *data, calldata_t *told)
{
	struct avatar_source *avatar = data;
	struct client_status *status = bzalloc(sizeof *status);
	client_status(avatar->client, status);
	calldata_set_bool(told, "connected", status->state == CLIENT_CONNECTED);
	calldata_set_float(told, "fps", status->fps);
	calldata_set_float(told, "latency_ms", status->latency_ms);
	calldata_set_float(told, "latency_p95_ms", status->latency_p95_ms);
	calldata_set_int(told, "lost_frames", (long long)status->lost);
	bfree(status);
}

static void *avatar_create(obs_data_t *settings, obs_source_t *source)
{
	struct avatar_source *avatar = bzalloc(sizeof *avatar);
	const struct client_callbacks callbacks = {
		.user = avatar,
		.now_ns = os_time_ns,
		.frame = on_frame,
		.sound = on_sound,
		.lost = on_lost,
		.log = on_log,
	};
	avatar->source = source;
	avatar->status = bzalloc(sizeof *avatar->status);
	avatar->sync_ms = obs_source_get_sync_offset(source) / 1000000;
	pthread_mutex_init(&avatar->lock, NULL);
	avatar->client = client_create(&callbacks);
	if (avatar->client == NULL) {
		blog(LOG_ERROR, "[llia-obs] '%s': no thread or socket is left for it", obs_source_get_name(source));
		pthread_mutex_destroy(&avatar->lock);
		bfree(avatar->status);
		bfree(avatar);
		return NULL;
	}
	proc_handler_add(obs_source_get_proc_handler(source),
			 "void get_status(out bool connected, out float fps, out float latency_ms, "
			 "out float latency_p95_ms, out int lost_frames)",
			 tell_status, avatar);
	controls_create(avatar, settings);
	avatar_update(avatar, settings);
	return avatar;
}

/* Now and then: offers what the daemon offers, and lets open properties tell what has changed. */
static void avatar_tick(void *data, float seconds)
{
	struct avatar_source *avatar = data;
	avatar->since_look_s += seconds;
	if (avatar->since_look_s < LOOK_S)
		return;
	avatar->since_look_s = 0.0f;
	const uint64_t revision = avatar->status->revision;
	client_status(avatar->client, avatar->status);
	if (avatar->status->revision != revision)
		controls_offer(avatar, &avatar->status->expressions);
	char line[sizeof avatar->told];
	avatar_describe(avatar->status, line, sizeof line);
	const bool changed = avatar->status->revision != revision || strcmp(line, avatar->told) != 0;
	memcpy(avatar->told, line, sizeof line);
	if (changed && os_atomic_load_long(&avatar->open_properties) > 0)
		obs_source_update_properties(avatar->source);
}

/* Keeps the expressions' names: their hotkeys are there before the daemon is. */
static void avatar_save(void *data, obs_data_t *settings)
{
	struct avatar_source *avatar = data;
	obs_data_array_t *names = obs_data_array_create();
	for (size_t i = 0; i < avatar->expression_count; i++) {
		obs_data_t *item = obs_data_create();
		obs_data_set_string(item, "name", avatar->expressions[i].preset);
		obs_data_array_push_back(names, item);
		obs_data_release(item);
	}
	obs_data_set_array(settings, KEY_EXPRESSIONS, names);
	obs_data_array_release(names);
}

const struct obs_source_info llia_avatar_source = {
	.id = SOURCE_ID,
	.type = OBS_SOURCE_TYPE_INPUT,
	.output_flags = OBS_SOURCE_ASYNC_VIDEO | OBS_SOURCE_AUDIO | OBS_SOURCE_INTERACTION,
	.icon_type = OBS_ICON_TYPE_CAMERA,
	.get_name = avatar_name,
	.create = avatar_create,
	.destroy = avatar_destroy,
	.update = avatar_update,
	.save = avatar_save,
	.get_defaults = avatar_defaults,
	.get_properties = avatar_properties,
	.show = avatar_show,
	.hide = avatar_hide,
	.activate = avatar_activate,
	.deactivate = avatar_deactivate,
	.video_tick = avatar_tick,
	.mouse_click = controls_click,
	.focus = controls_focus,
	.key_click = controls_key,
};
