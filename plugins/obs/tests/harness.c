// SPDX-FileCopyrightText: LLIA contributors
// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * OBS's core without its window: loads the plug-in as OBS does and obeys commands on standard input, one a line, each
 * answered with one line ("ok ..." or "error ..."). A scene is the program output, so sources in it are shown.
 *
 *   harness MODULE DATA_FOLDER CONFIG_FOLDER FPS
 */
#include <obs.h>
#include <obs-hotkey.h>
#include <obs-nix-platform.h>
#include <graphics/graphics.h>
#include <util/platform.h>
#include <util/threading.h>
#include <X11/Xlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOURCE_ID "llia_avatar_source"
#define CANVAS_WIDTH 1280
#define CANVAS_HEIGHT 720
#define MAX_LATENCIES 65536

static obs_scene_t *scene;

static void answer(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	fflush(stdout);
}

static void log_line(int level, const char *format, va_list arguments, void *parameter)
{
	UNUSED_PARAMETER(parameter);
	if (level > LOG_INFO)
		return;
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
}

static obs_source_t *make(const char *name, const char *json)
{
	obs_data_t *settings = obs_data_create_from_json(json);
	obs_source_t *source = obs_source_create(SOURCE_ID, name, settings, NULL);
	obs_data_release(settings);
	return source;
}

/* Reads the source's own picture: RGBA rows. */
static void grab(obs_source_t *source, const char *path)
{
	const uint32_t width = obs_source_get_width(source), height = obs_source_get_height(source);
	if (width == 0 || height == 0) {
		answer("ok 0 0");
		return;
	}
	obs_enter_graphics();
	gs_texrender_t *render = gs_texrender_create(GS_RGBA, GS_ZS_NONE);
	gs_stagesurf_t *stage = gs_stagesurface_create(width, height, GS_RGBA);
	uint8_t *pixels;
	uint32_t pitch;
	bool done = false;
	if (gs_texrender_begin(render, width, height)) {
		struct vec4 nothing;
		vec4_zero(&nothing);
		gs_clear(GS_CLEAR_COLOR, &nothing, 0.0f, 0);
		gs_ortho(0.0f, (float)width, 0.0f, (float)height, -100.0f, 100.0f);
		gs_blend_state_push();
		gs_blend_function(GS_BLEND_ONE, GS_BLEND_ZERO);
		obs_source_video_render(source);
		gs_blend_state_pop();
		gs_texrender_end(render);
		gs_stage_texture(stage, gs_texrender_get_texture(render));
		if (gs_stagesurface_map(stage, &pixels, &pitch)) {
			FILE *file = fopen(path, "wb");
			for (uint32_t y = 0; file != NULL && y < height; y++)
				fwrite(pixels + (size_t)y * pitch, 4, width, file);
			done = file != NULL && fclose(file) == 0;
			gs_stagesurface_unmap(stage);
		}
	}
	gs_stagesurface_destroy(stage);
	gs_texrender_destroy(render);
	obs_leave_graphics();
	if (done)
		answer("ok %u %u", width, height);
	else
		answer("error cannot read the picture");
}

/* Latency at the raw output: the publisher writes its clock (0.1 ms, 24 bit) into the colour of the picture's corner. */
static struct {
	pthread_mutex_t lock;
	size_t frames, count;
	uint32_t last;
	double ms[MAX_LATENCIES];
} raw = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void on_raw(void *parameter, struct video_data *frame)
{
	UNUSED_PARAMETER(parameter);
	const uint8_t *bgra = frame->data[0] + 8 * frame->linesize[0] + 8 * 4;
	const uint32_t told = (uint32_t)bgra[2] << 16 | (uint32_t)bgra[1] << 8 | bgra[0];
	const uint32_t now = (uint32_t)(os_gettime_ns() / 100000 & 0xffffff);
	pthread_mutex_lock(&raw.lock);
	raw.frames++;
	if (told != 0 && told != raw.last && raw.count < MAX_LATENCIES)
		raw.ms[raw.count++] = ((now - told) & 0xffffff) / 10.0;
	raw.last = told;
	pthread_mutex_unlock(&raw.lock);
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void measure(uint32_t ms)
{
	const struct video_scale_info form = {
		.format = VIDEO_FORMAT_BGRA,
		.width = CANVAS_WIDTH,
		.height = CANVAS_HEIGHT,
		.range = VIDEO_RANGE_FULL,
		.colorspace = VIDEO_CS_SRGB,
	};
	raw.frames = raw.count = 0;
	obs_add_raw_video_callback(&form, on_raw, NULL);
	os_sleep_ms(ms);
	obs_remove_raw_video_callback(on_raw, NULL);
	qsort(raw.ms, raw.count, sizeof raw.ms[0], compare);
	const size_t n = raw.count;
	answer("ok %zu %zu %.1f %.1f %.1f %.1f", raw.frames, n, n ? raw.ms[0] : -1.0, n ? raw.ms[n / 2] : -1.0,
	       n ? raw.ms[n * 95 / 100] : -1.0, n ? raw.ms[n - 1] : -1.0);
}

/* What a source plays, after OBS has resampled it. */
static struct {
	pthread_mutex_t lock;
	uint64_t frames;
	float peak;
	int64_t worst_gap_ns; /* between pieces, against their lengths */
	uint64_t next_ns;
} heard = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void on_audio(void *parameter, obs_source_t *source, const struct audio_data *audio, bool muted)
{
	UNUSED_PARAMETER(parameter);
	UNUSED_PARAMETER(source);
	UNUSED_PARAMETER(muted);
	const float *samples = (const float *)audio->data[0];
	pthread_mutex_lock(&heard.lock);
	if (heard.next_ns != 0) {
		const int64_t gap_ns = llabs((int64_t)(audio->timestamp - heard.next_ns));
		if (gap_ns > heard.worst_gap_ns)
			heard.worst_gap_ns = gap_ns;
	}
	heard.next_ns = audio->timestamp + (uint64_t)audio->frames * 1000000000 / 48000;
	heard.frames += audio->frames;
	for (uint32_t i = 0; i < audio->frames; i++) {
		if (samples[i] > heard.peak)
			heard.peak = samples[i];
	}
	pthread_mutex_unlock(&heard.lock);
}

static void listen_for(obs_source_t *source, uint32_t ms)
{
	heard.frames = 0;
	heard.peak = 0.0f;
	heard.worst_gap_ns = 0;
	heard.next_ns = 0;
	obs_source_add_audio_capture_callback(source, on_audio, NULL);
	os_sleep_ms(ms);
	obs_source_remove_audio_capture_callback(source, on_audio, NULL);
	answer("ok %llu %.4f %.1f", (unsigned long long)heard.frames, heard.peak, heard.worst_gap_ns / 1e6);
}

struct wanted_hotkey {
	obs_source_t *source;
	const char *name;
	obs_hotkey_id id;
};

static bool find_hotkey(void *data, obs_hotkey_id id, obs_hotkey_t *hotkey)
{
	struct wanted_hotkey *wanted = data;
	obs_weak_source_t *weak = obs_hotkey_get_registerer(hotkey);
	if (obs_hotkey_get_registerer_type(hotkey) == OBS_HOTKEY_REGISTERER_SOURCE &&
	    obs_weak_source_references_source(weak, wanted->source) &&
	    strcmp(obs_hotkey_get_name(hotkey), wanted->name) == 0)
		wanted->id = id;
	return true;
}

static void press(obs_source_t *source, const char *name, bool down)
{
	struct wanted_hotkey wanted = {source, name, OBS_INVALID_HOTKEY_ID};
	obs_enum_hotkeys(find_hotkey, &wanted);
	if (wanted.id == OBS_INVALID_HOTKEY_ID) {
		answer("error no such hotkey");
		return;
	}
	obs_hotkey_trigger_routed_callback(wanted.id, down);
	answer("ok");
}

static void type_key(obs_source_t *source, const char *text, bool up)
{
	char copy[8];
	snprintf(copy, sizeof copy, "%s", strcmp(text, "space") == 0 ? " " : text);
	const struct obs_key_event event = {.text = copy};
	obs_source_send_key_click(source, &event, up);
	answer("ok");
}

static void tell_text(const char *text)
{
	char line[2048];
	size_t at = 0;
	for (; text != NULL && *text != '\0' && at + 4 < sizeof line; text++) {
		if (*text == '\n') {
			memcpy(line + at, " | ", 3);
			at += 3;
		} else {
			line[at++] = *text;
		}
	}
	line[at] = '\0';
	answer("ok %s", line);
}

static void tell_status(obs_source_t *source)
{
	obs_properties_t *properties = obs_source_properties(source);
	tell_text(obs_property_description(obs_properties_get(properties, "status")));
	obs_properties_destroy(properties);
}

static void tell_figures(obs_source_t *source)
{
	calldata_t told = {0};
	proc_handler_call(obs_source_get_proc_handler(source), "get_status", &told);
	answer("ok %d %.2f %.2f %.2f %lld", calldata_bool(&told, "connected"), calldata_float(&told, "fps"),
	       calldata_float(&told, "latency_ms"), calldata_float(&told, "latency_p95_ms"),
	       calldata_int(&told, "lost_frames"));
	calldata_free(&told);
}

static void tell_choices(obs_source_t *source, const char *key)
{
	obs_properties_t *properties = obs_source_properties(source);
	obs_property_t *list = obs_properties_get(properties, key);
	char line[2048] = "";
	for (size_t i = 0; i < obs_property_list_item_count(list); i++) {
		const size_t at = strlen(line);
		snprintf(line + at, sizeof line - at, "%s%s=%s", i > 0 ? ";" : "",
			 obs_property_list_item_string(list, i), obs_property_list_item_name(list, i));
	}
	answer("ok %s", line);
	obs_properties_destroy(properties);
}

static void tell_saved(obs_source_t *source)
{
	obs_data_t *saved = obs_save_source(source);
	answer("ok %s", obs_data_get_json(saved));
	obs_data_release(saved);
}

/* Creates and removes a source so many times; tells the longest removal. */
static void churn(int rounds, const char *json)
{
	uint64_t longest_ns = 0;
	for (int i = 0; i < rounds; i++) {
		obs_source_t *source = make("churned", json);
		obs_sceneitem_t *item = obs_scene_add(scene, source);
		os_sleep_ms((uint32_t)(i % 8));
		obs_sceneitem_remove(item);
		const uint64_t start_ns = os_gettime_ns();
		obs_source_release(source);
		/* Sources are destroyed on a thread of OBS. */
		while (obs_wait_for_destroy_queue())
			continue;
		const uint64_t spent_ns = os_gettime_ns() - start_ns;
		longest_ns = spent_ns > longest_ns ? spent_ns : longest_ns;
	}
	answer("ok %.1f", (double)longest_ns / 1e6);
}

static bool obey(char *line)
{
	line[strcspn(line, "\n")] = '\0';
	char *rest = line, *command = strsep(&rest, " ");
	if (strcmp(command, "quit") == 0)
		return false;
	char *name = strsep(&rest, " ");
	if (name == NULL) {
		answer("error what of?");
		return true;
	}
	if (strcmp(command, "create") == 0) {
		obs_source_t *source = make(name, rest);
		obs_scene_add(scene, source);
		obs_source_release(source); /* the scene holds it */
		answer("ok");
		return true;
	}
	if (strcmp(command, "churn") == 0) {
		churn(atoi(name), rest);
		return true;
	}
	if (strcmp(command, "measure") == 0) {
		measure((uint32_t)atoi(name));
		return true;
	}
	obs_sceneitem_t *item = obs_scene_find_source(scene, name);
	if (item == NULL) {
		answer("error no source %s", name);
		return true;
	}
	obs_source_t *source = obs_sceneitem_get_source(item);
	char *second = rest != NULL ? strchr(rest, ' ') : NULL;
	if (strcmp(command, "remove") == 0) {
		obs_sceneitem_remove(item);
		answer("ok");
	} else if (strcmp(command, "update") == 0) {
		obs_data_t *settings = obs_data_create_from_json(rest);
		obs_source_update(source, settings);
		obs_data_release(settings);
		answer("ok");
	} else if (strcmp(command, "show") == 0) {
		obs_sceneitem_set_visible(item, atoi(rest) != 0);
		answer("ok");
	} else if (strcmp(command, "grab") == 0) {
		grab(source, rest);
	} else if (strcmp(command, "size") == 0) {
		answer("ok %u %u", obs_source_get_width(source), obs_source_get_height(source));
	} else if (strcmp(command, "status") == 0) {
		tell_status(source);
	} else if (strcmp(command, "figures") == 0) {
		tell_figures(source);
	} else if (strcmp(command, "choices") == 0) {
		tell_choices(source, rest);
	} else if (strcmp(command, "saved") == 0) {
		tell_saved(source);
	} else if (strcmp(command, "listen") == 0) {
		listen_for(source, (uint32_t)atoi(rest));
	} else if (strcmp(command, "press") == 0 && second != NULL) {
		*second = '\0';
		press(source, rest, atoi(second + 1) != 0);
	} else if (strcmp(command, "key") == 0 && second != NULL) {
		*second = '\0';
		type_key(source, rest, atoi(second + 1) == 0);
	} else if (strcmp(command, "focus") == 0) {
		obs_source_send_focus(source, atoi(rest) != 0);
		answer("ok");
	} else {
		answer("error no command %s", command);
	}
	return true;
}

int main(int argc, char **argv)
{
	static char line[65536];
	if (argc != 5) {
		fprintf(stderr, "usage: harness MODULE DATA_FOLDER CONFIG_FOLDER FPS\n");
		return 2;
	}
	base_set_log_handler(log_line, NULL);
	Display *display = XOpenDisplay(NULL);
	if (display == NULL) {
		fprintf(stderr, "no X display\n");
		return 3;
	}
	obs_set_nix_platform(OBS_NIX_PLATFORM_X11_EGL);
	obs_set_nix_platform_display(display);
	if (!obs_startup("en-US", argv[3], NULL))
		return 4;
	struct obs_video_info video = {
		.graphics_module = "libobs-opengl",
		.fps_num = (uint32_t)atoi(argv[4]),
		.fps_den = 1,
		.base_width = CANVAS_WIDTH,
		.base_height = CANVAS_HEIGHT,
		.output_width = CANVAS_WIDTH,
		.output_height = CANVAS_HEIGHT,
		.output_format = VIDEO_FORMAT_BGRA,
		.colorspace = VIDEO_CS_SRGB,
		.range = VIDEO_RANGE_FULL,
		.scale_type = OBS_SCALE_BILINEAR,
		.gpu_conversion = true,
	};
	const struct obs_audio_info audio = {.samples_per_sec = 48000, .speakers = SPEAKERS_STEREO};
	if (obs_reset_video(&video) != OBS_VIDEO_SUCCESS || !obs_reset_audio(&audio))
		return 5;
	obs_module_t *module;
	if (obs_open_module(&module, argv[1], argv[2]) != MODULE_SUCCESS || !obs_init_module(module))
		return 6;
	obs_post_load_modules();
	obs_hotkey_enable_callback_rerouting(true); /* hotkeys are pressed by commands, not by a keyboard */
	scene = obs_scene_create("Main");
	obs_set_output_source(0, obs_scene_get_source(scene));
	answer("ok %s", obs_get_version_string());
	while (fgets(line, sizeof line, stdin) != NULL && obey(line))
		continue;
	obs_set_output_source(0, NULL);
	obs_scene_release(scene);
	obs_shutdown();
	base_set_log_handler(NULL, NULL);
	answer("ok %ld", bnum_allocs());
	XCloseDisplay(display);
	return 0;
}
