// SPDX-FileCopyrightText: LLIA contributors
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fake-daemon.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

#include "check.h"

#define MAX_NOTES 4096

/* One message to publish, made by the test's thread and sent by the daemon's. */
struct letter {
	char topic[32];
	uint8_t header[512];
	size_t header_bytes;
	uint8_t *payload; /* NULL without */
	size_t payload_bytes;
	struct letter *next;
};

struct fake_daemon {
	pthread_t thread;
	pthread_mutex_t lock;
	void *context, *control, *frames;
	int control_port, frames_port;
	enum fake_mood mood;
	bool ending;
	struct letter *first, **last;
	char requests[MAX_NOTES][96]; /* the beginning of each, NULs and all */
	int request_count;
	char topics[64][64];
	int topic_counts[64];
};

struct packed {
	uint8_t data[512];
	size_t bytes;
};

static void put(struct packed *packed, const void *data, size_t bytes)
{
	CHECK(packed->bytes + bytes <= sizeof packed->data);
	memcpy(packed->data + packed->bytes, data, bytes);
	packed->bytes += bytes;
}

static void put_head(struct packed *packed, uint8_t head)
{
	put(packed, &head, 1);
}

static void put_text(struct packed *packed, const char *text)
{
	CHECK(strlen(text) < 32);
	put_head(packed, (uint8_t)(0xa0 | strlen(text)));
	put(packed, text, strlen(text));
}

static void put_number(struct packed *packed, const char *key, int64_t number)
{
	uint8_t bytes[9] = {0xd3};
	put_text(packed, key);
	for (int i = 0; i < 8; i++)
		bytes[1 + i] = (uint8_t)((uint64_t)number >> (56 - 8 * i));
	put(packed, bytes, sizeof bytes);
}

static void put_pair(struct packed *packed, const char *key, const char *text)
{
	put_text(packed, key);
	put_text(packed, text);
}

static void begin(struct packed *packed, int pairs, const char *type)
{
	packed->bytes = 0;
	put_head(packed, (uint8_t)(0x80 | (pairs + 2)));
	put_number(packed, "v", 1);
	put_pair(packed, "type", type);
}

static int64_t monotonic_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void pack_frame(struct packed *packed, int64_t pts_samples, int64_t epoch)
{
	begin(packed, 7, "frame");
	put_pair(packed, "avatar_id", "default");
	put_pair(packed, "state", "idle");
	put_number(packed, "pts_samples", pts_samples);
	put_number(packed, "epoch", epoch);
	put_number(packed, "width", 4);
	put_number(packed, "height", 2);
	put_number(packed, "published_ns", monotonic_ns());
}

static void pack_sound(struct packed *packed, int64_t pts_samples)
{
	begin(packed, 4, "echo");
	put_pair(packed, "avatar_id", "default");
	put_pair(packed, "utterance_id", "");
	put_number(packed, "pts_samples", pts_samples);
	put_number(packed, "published_ns", monotonic_ns());
}

static void send_parts(void *socket, const char *topic, const void *header, size_t header_bytes, const void *payload,
		       size_t payload_bytes)
{
	zmq_send(socket, topic, strlen(topic), ZMQ_SNDMORE | ZMQ_DONTWAIT);
	zmq_send(socket, header, header_bytes, (payload != NULL ? ZMQ_SNDMORE : 0) | ZMQ_DONTWAIT);
	if (payload != NULL)
		zmq_send(socket, payload, payload_bytes, ZMQ_DONTWAIT);
}

static bool holds(const char *data, size_t bytes, const char *text)
{
	const size_t length = strlen(text);
	for (size_t i = 0; i + length <= bytes; i++) {
		if (memcmp(data + i, text, length) == 0)
			return true;
	}
	return false;
}

static void answer(struct fake_daemon *daemon)
{
	char identity[64], request[1024];
	struct packed packed;
	const int name = zmq_recv(daemon->control, identity, sizeof identity, 0);
	int bytes = zmq_recv(daemon->control, request, sizeof request, 0);
	CHECK(name > 0 && bytes > 0);
	bytes = bytes < (int)sizeof request ? bytes : (int)sizeof request;
	pthread_mutex_lock(&daemon->lock);
	if (daemon->request_count < MAX_NOTES) {
		char *note = daemon->requests[daemon->request_count++];
		memset(note, 0, sizeof daemon->requests[0]);
		memcpy(note, request, bytes < 96 ? (size_t)bytes : 96);
	}
	pthread_mutex_unlock(&daemon->lock);
	if (holds(request, (size_t)bytes, "\xa5hello")) {
		char endpoint[32];
		snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", daemon->frames_port);
		begin(&packed, 4, "welcome");
		put_pair(&packed, "frames_endpoint", endpoint);
		put_text(&packed, "avatars");
		put_head(&packed, 0x91);
		put_text(&packed, "default");
		put_text(&packed, "expressions");
		put_head(&packed, 0x91);
		put_text(&packed, "happy");
		put_text(&packed, "capabilities");
		put_head(&packed, 0x91);
		put_text(&packed, "set_microphone");
	} else if (holds(request, (size_t)bytes, "\xafget_avatar_info")) {
		begin(&packed, 3, "avatar_info");
		put_pair(&packed, "avatar_id", "default");
		put_pair(&packed, "name", "toy");
		put_number(&packed, "fps", 25);
	} else {
		begin(&packed, 1, "pong");
		put_number(&packed, "daemon_ns", monotonic_ns());
	}
	zmq_send(daemon->control, identity, (size_t)name, ZMQ_SNDMORE | ZMQ_DONTWAIT);
	zmq_send(daemon->control, packed.data, packed.bytes, ZMQ_DONTWAIT);
}

static void hear_subscription(struct fake_daemon *daemon)
{
	char told[64];
	const int bytes = zmq_recv(daemon->frames, told, sizeof told - 1, 0);
	if (bytes < 1)
		return;
	told[bytes < (int)sizeof told ? bytes : (int)sizeof told - 1] = '\0';
	pthread_mutex_lock(&daemon->lock);
	for (int i = 0; i < 64; i++) {
		if (daemon->topics[i][0] == '\0')
			snprintf(daemon->topics[i], sizeof daemon->topics[i], "%s", told + 1);
		if (strcmp(daemon->topics[i], told + 1) == 0) {
			daemon->topic_counts[i] = told[0] ? daemon->topic_counts[i] + 1 : 0; /* the last one left */
			break;
		}
	}
	pthread_mutex_unlock(&daemon->lock);
}

static void flood(struct fake_daemon *daemon, int64_t *pts_samples)
{
	static const uint8_t PIXELS[32];
	struct packed packed;
	for (int i = 0; i < 50; i++) {
		pack_frame(&packed, *pts_samples, 0);
		send_parts(daemon->frames, "frame/default", packed.data, packed.bytes, PIXELS, sizeof PIXELS);
		pack_sound(&packed, *pts_samples);
		send_parts(daemon->frames, "audio/default", packed.data, packed.bytes, PIXELS, sizeof PIXELS);
		*pts_samples += 640;
	}
}

static void *serve(void *argument)
{
	struct fake_daemon *daemon = argument;
	int64_t pts_samples = 0;
	for (;;) {
		pthread_mutex_lock(&daemon->lock);
		const enum fake_mood mood = daemon->mood;
		const bool ending = daemon->ending;
		struct letter *letters = daemon->first;
		daemon->first = NULL;
		daemon->last = &daemon->first;
		pthread_mutex_unlock(&daemon->lock);
		while (letters != NULL) {
			struct letter *next = letters->next;
			send_parts(daemon->frames, letters->topic, letters->header, letters->header_bytes,
				   letters->payload, letters->payload_bytes);
			free(letters->payload);
			free(letters);
			letters = next;
		}
		if (ending)
			break;
		zmq_pollitem_t items[] = {{daemon->control, 0, ZMQ_POLLIN, 0}, {daemon->frames, 0, ZMQ_POLLIN, 0}};
		zmq_poll(items, mood == FAKE_HANGS ? 0 : 2, mood == FAKE_FLOODS ? 0 : 1);
		if (items[0].revents)
			answer(daemon);
		if (items[1].revents)
			hear_subscription(daemon);
		if (mood == FAKE_FLOODS)
			flood(daemon, &pts_samples);
	}
	zmq_close(daemon->control);
	zmq_close(daemon->frames);
	zmq_ctx_term(daemon->context);
	return NULL;
}

static void *open_port(struct fake_daemon *daemon, int kind, int *port)
{
	const int none = 0, hwm = 24;
	char endpoint[64];
	size_t room = sizeof endpoint;
	void *socket = zmq_socket(daemon->context, kind);
	zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none);
	zmq_setsockopt(socket, ZMQ_SNDHWM, &hwm, sizeof hwm);
	snprintf(endpoint, sizeof endpoint, *port > 0 ? "tcp://127.0.0.1:%d" : "tcp://127.0.0.1:*", *port);
	for (int i = 0; i < 50 && zmq_bind(socket, endpoint) < 0; i++) /* of the daemon before, not free yet */
		nanosleep(&(struct timespec){0, 20000000}, NULL);
	CHECK(zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &room) == 0);
	*port = atoi(strrchr(endpoint, ':') + 1);
	return socket;
}

struct fake_daemon *fake_start(enum fake_mood mood, int control_port, int frames_port)
{
	struct fake_daemon *daemon = calloc(1, sizeof *daemon);
	CHECK(daemon != NULL);
	daemon->mood = mood;
	daemon->last = &daemon->first;
	daemon->control_port = control_port;
	daemon->frames_port = frames_port;
	daemon->context = zmq_ctx_new();
	pthread_mutex_init(&daemon->lock, NULL);
	daemon->control = open_port(daemon, ZMQ_ROUTER, &daemon->control_port);
	daemon->frames = open_port(daemon, ZMQ_XPUB, &daemon->frames_port);
	CHECK(pthread_create(&daemon->thread, NULL, serve, daemon) == 0);
	return daemon;
}

void fake_stop(struct fake_daemon *daemon)
{
	pthread_mutex_lock(&daemon->lock);
	daemon->ending = true;
	pthread_mutex_unlock(&daemon->lock);
	pthread_join(daemon->thread, NULL);
	pthread_mutex_destroy(&daemon->lock);
	free(daemon);
}

int fake_control_port(const struct fake_daemon *daemon)
{
	return daemon->control_port;
}

int fake_frames_port(const struct fake_daemon *daemon)
{
	return daemon->frames_port;
}

void fake_set_mood(struct fake_daemon *daemon, enum fake_mood mood)
{
	pthread_mutex_lock(&daemon->lock);
	daemon->mood = mood;
	pthread_mutex_unlock(&daemon->lock);
}

static void publish(struct fake_daemon *daemon, const char *topic, const void *header, size_t header_bytes,
		    const void *payload, size_t payload_bytes)
{
	struct letter *letter = calloc(1, sizeof *letter);
	CHECK(letter != NULL && header_bytes <= sizeof letter->header);
	snprintf(letter->topic, sizeof letter->topic, "%s", topic);
	memcpy(letter->header, header, header_bytes);
	letter->header_bytes = header_bytes;
	letter->payload_bytes = payload_bytes;
	if (payload != NULL) {
		letter->payload = malloc(payload_bytes > 0 ? payload_bytes : 1);
		memcpy(letter->payload, payload, payload_bytes);
	}
	pthread_mutex_lock(&daemon->lock);
	*daemon->last = letter;
	daemon->last = &letter->next;
	pthread_mutex_unlock(&daemon->lock);
}

void fake_publish_frame(struct fake_daemon *daemon, int64_t pts_samples, int64_t epoch, uint8_t shade)
{
	struct packed packed;
	uint8_t pixels[32];
	memset(pixels, shade, sizeof pixels);
	pack_frame(&packed, pts_samples, epoch);
	publish(daemon, "frame/default", packed.data, packed.bytes, pixels, sizeof pixels);
}

void fake_publish_sound(struct fake_daemon *daemon, int64_t pts_samples, float value, uint32_t count)
{
	struct packed packed;
	float *samples = malloc(count * sizeof *samples);
	for (uint32_t i = 0; i < count; i++)
		samples[i] = value;
	pack_sound(&packed, pts_samples);
	publish(daemon, "audio/default", packed.data, packed.bytes, samples, count * sizeof *samples);
	free(samples);
}

void fake_publish_raw(struct fake_daemon *daemon, const void *header, size_t header_bytes, const void *payload,
		      size_t payload_bytes)
{
	publish(daemon, "frame/default", header, header_bytes, payload, payload_bytes);
}

void fake_close_avatar(struct fake_daemon *daemon)
{
	struct packed packed;
	begin(&packed, 2, "avatar_closed");
	put_pair(&packed, "avatar_id", "default");
	put_pair(&packed, "reason", "closed");
	publish(daemon, "event/default", packed.data, packed.bytes, NULL, 0);
}

int fake_subscribers(struct fake_daemon *daemon, const char *topic)
{
	int count = 0;
	pthread_mutex_lock(&daemon->lock);
	for (int i = 0; i < 64; i++) {
		if (strncmp(daemon->topics[i], topic, strlen(topic)) == 0)
			count += daemon->topic_counts[i];
	}
	pthread_mutex_unlock(&daemon->lock);
	return count;
}

int fake_requests(struct fake_daemon *daemon, const char *text)
{
	int count = 0;
	pthread_mutex_lock(&daemon->lock);
	for (int i = 0; i < daemon->request_count; i++)
		count += holds(daemon->requests[i], sizeof daemon->requests[i], text);
	pthread_mutex_unlock(&daemon->lock);
	return count;
}
