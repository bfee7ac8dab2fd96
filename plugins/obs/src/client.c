// SPDX-FileCopyrightText: LLIA contributors
// SPDX-License-Identifier: GPL-2.0-or-later
#include "client.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#define MS_NS INT64_C(1000000)
#define POLL_MS 100
#define PING_NS (500 * MS_NS)
#define SILENT_NS (2000 * MS_NS)
#define RECONNECT_MS 100
#define HANDSHAKE_MS 2000
/*
 * Frames that wait are taken all at once and the newest is shown. A shorter queue would not help: the older ones would
 * wait in the system's buffers instead, out of reach, and the daemon would throw the newest away.
 */
#define WAITING_FRAMES 64
#define WAITING_SOUND 256
#define WAITING_REQUESTS 32
/* So many messages are taken before other sockets have their turn again: a flood does not hold the thread. */
#define ROUND 128
#define MAX_PARTS 3
#define LATENCIES 256
#define RATE_WINDOW_NS (3000 * MS_NS)
#define NEW_DAEMON_SAMPLES (10 * 16000)
#define LAST_WORDS_MS 50

struct client {
	struct client_callbacks callbacks;
	pthread_t thread;
	void *context;
	void *wake_in; /* under `lock` */
	void *wake_out;

	pthread_mutex_t lock;
	bool ending;
	bool renew;
	uint64_t wishes_given;
	struct client_wishes wishes;
	struct wire_request requests[WAITING_REQUESTS];
	size_t request_count;
	struct client_status status;

	/* From here on only the thread's. */
	uint64_t wishes_taken;
	struct client_wishes now;
	void *control, *monitor, *frames, *sound;
	char frames_endpoint[CLIENT_ENDPOINT_ROOM];
	char avatar_id[WIRE_ID_ROOM]; /* the one shown, "" before it is known */
	char frame_topic[WIRE_ID_ROOM + 8], sound_topic[WIRE_ID_ROOM + 8], event_topic[WIRE_ID_ROOM + 8];
	bool frames_subscribed, sound_subscribed;
	bool greeted;  /* `hello` was sent on this connection */
	bool welcomed; /* and answered */
	bool shows;    /* a frame was handed out and is not lost */
	bool repeated; /* the next frame may be one that the daemon repeats */
	bool file_told;
	int64_t heard_ns, hello_ns, ping_ns, refusal_told_ns, rate_since_ns;
	uint64_t rate_frames;
	int64_t pts_samples, epoch, frame_samples;
	double latencies_ms[LATENCIES];
	size_t latency_count;
	struct wire_message message;
	float samples[4096];
};

static void say(struct client *client, enum client_log_level level, const char *format, const char *what)
{
	char line[WIRE_TEXT_ROOM + 256];
	snprintf(line, sizeof line, format, what);
	client->callbacks.log(client->callbacks.user, level, line);
}

static int64_t now_ns(const struct client *client)
{
	return client->callbacks.now_ns();
}

static void set_state(struct client *client, enum client_state state)
{
	static const char *const WORDS[] = {
		[CLIENT_BAD_ENDPOINT] = "is no address; it has to look like tcp://127.0.0.1:5570",
		[CLIENT_SEARCHING] = "does not answer; start it with `llia run`",
		[CLIENT_SILENT] = "is connected but says nothing",
		[CLIENT_NO_AVATAR] = "has no such avatar; choose another in the source's properties",
		[CLIENT_BAD_FORMAT] = "publishes this avatar as picture files; open it as RGBA, BGRA or I420",
		[CLIENT_PAUSED] = "is connected; nothing is asked for while the source is hidden",
		[CLIENT_CONNECTED] = "is connected",
	};
	pthread_mutex_lock(&client->lock);
	const bool changed = client->status.state != state;
	client->status.state = state;
	if (changed)
		client->status.revision++;
	pthread_mutex_unlock(&client->lock);
	if (changed) {
		char line[CLIENT_ENDPOINT_ROOM + 128];
		snprintf(line, sizeof line, "the daemon at %s %s", client->now.endpoint, WORDS[state]);
		say(client, state >= CLIENT_PAUSED ? CLIENT_LOG_INFO : CLIENT_LOG_WARNING, "%s", line);
	}
}

/* What follows is another stream. */
static void forget_stream(struct client *client)
{
	client->epoch = 0;
	client->pts_samples = -1;
	client->latency_count = 0;
	pthread_mutex_lock(&client->lock);
	client->status.fps = 0.0;
	client->status.latency_ms = client->status.latency_p95_ms = -1.0;
	pthread_mutex_unlock(&client->lock);
}

static void lose(struct client *client)
{
	forget_stream(client);
	if (client->shows)
		client->callbacks.lost(client->callbacks.user);
	client->shows = false;
}

static void close_socket(void **socket)
{
	if (*socket != NULL)
		zmq_close(*socket);
	*socket = NULL;
}

static void close_frames(struct client *client)
{
	close_socket(&client->frames);
	close_socket(&client->sound);
	client->frames_endpoint[0] = client->avatar_id[0] = '\0';
	client->frames_subscribed = client->sound_subscribed = false;
}

static void close_all(struct client *client)
{
	close_frames(client);
	close_socket(&client->monitor);
	close_socket(&client->control);
	client->greeted = client->welcomed = false;
}

static void set_option(void *socket, int option, int value)
{
	zmq_setsockopt(socket, option, &value, sizeof value);
}

static void *open_socket(struct client *client, int kind, const char *endpoint, int waiting)
{
	void *socket = zmq_socket(client->context, kind);
	if (socket == NULL)
		return NULL;
	const int64_t limit = WIRE_MAX_PAYLOAD_BYTES + WIRE_MAX_HEADER_BYTES;
	zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &limit, sizeof limit);
	set_option(socket, ZMQ_LINGER, 0);
	set_option(socket, ZMQ_RCVHWM, waiting);
	set_option(socket, ZMQ_SNDHWM, WAITING_REQUESTS);
	set_option(socket, ZMQ_RECONNECT_IVL, RECONNECT_MS);
	set_option(socket, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS);
	set_option(socket, ZMQ_IMMEDIATE, 1);
	set_option(socket, ZMQ_IPV6, strchr(endpoint, '[') != NULL);
	if (kind == ZMQ_DEALER) {
		/* Before connecting: no event is missed. */
		if (zmq_socket_monitor(socket, "inproc://monitor",
				       ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED) < 0)
			goto failed;
		client->monitor = zmq_socket(client->context, ZMQ_PAIR);
		if (client->monitor == NULL || zmq_connect(client->monitor, "inproc://monitor") < 0)
			goto failed;
		set_option(client->monitor, ZMQ_LINGER, 0);
	}
	if (zmq_connect(socket, endpoint) < 0)
		goto failed;
	return socket;
failed:
	close_socket(&client->monitor);
	zmq_close(socket);
	return NULL;
}

bool client_endpoint_is_valid(const char *endpoint)
{
	if (strncmp(endpoint, "tcp://", 6) != 0)
		return false;
	const char *host = endpoint + 6, *colon = strrchr(host, ':');
	if (colon == NULL || colon == host)
		return false;
	const size_t length = (size_t)(colon - host);
	/* No names: looking one up would hold ZeroMQ's thread, and with it the end of OBS, for as long as it takes. */
	const bool localhost = length == 9 && strncmp(host, "localhost", 9) == 0;
	const bool ipv6 = length > 2 && host[0] == '[' && host[length - 1] == ']' &&
			  strspn(host + 1, "0123456789abcdefABCDEF:.") == length - 2;
	bool ipv4 = strspn(host, "0123456789.") == length;
	int parts = 1;
	for (size_t i = 0; i < length && ipv4; i++)
		parts += host[i] == '.';
	ipv4 = ipv4 && parts == 4;
	if (!localhost && !ipv4 && !ipv6)
		return false;
	const size_t digits = strspn(colon + 1, "0123456789");
	const long port = digits > 0 && digits < 6 ? strtol(colon + 1, NULL, 10) : 0;
	return colon[1 + digits] == '\0' && port > 0 && port < 65536;
}

/* The daemon tells its frames socket's port; the host is the one at which it was reached. */
static bool frames_address(const char *control, const char *told, char *address, size_t room)
{
	const char *port = strrchr(told, ':'), *end = strrchr(control, ':');
	if (port == NULL || end == NULL)
		return false;
	const int bytes = snprintf(address, room, "%.*s%s", (int)(end - control), control, port);
	return bytes > 0 && (size_t)bytes < room && client_endpoint_is_valid(address);
}

/* Sends now or not at all. */
static bool send_request(struct client *client, const struct wire_request *request)
{
	uint8_t header[1024];
	const size_t bytes = wire_write(request, header, sizeof header);
	return bytes > 0 && client->control != NULL && zmq_send(client->control, header, bytes, ZMQ_DONTWAIT) >= 0;
}

static void subscribe(void *socket, const char *topic, bool wanted, bool *subscribed)
{
	if (socket == NULL || topic[0] == '\0' || wanted == *subscribed)
		return;
	zmq_setsockopt(socket, wanted ? ZMQ_SUBSCRIBE : ZMQ_UNSUBSCRIBE, topic, strlen(topic));
	*subscribed = wanted;
}

/* Subscribes to what is wanted and to nothing else. */
static void follow_wishes(struct client *client)
{
	const bool video = client->now.video, started = video && !client->frames_subscribed;
	if (client->avatar_id[0] == '\0')
		return;
	if (started) {
		client->repeated = true;
		client->pts_samples = -1;
		client->rate_frames = 0;
		client->rate_since_ns = now_ns(client);
	}
	subscribe(client->frames, client->frame_topic, video, &client->frames_subscribed);
	subscribe(client->sound, client->sound_topic, video && client->now.sound, &client->sound_subscribed);
}

static void show_avatar(struct client *client, const char *avatar_id)
{
	if (strcmp(client->avatar_id, avatar_id) == 0)
		return;
	subscribe(client->frames, client->frame_topic, false, &client->frames_subscribed);
	subscribe(client->sound, client->sound_topic, false, &client->sound_subscribed);
	if (client->avatar_id[0] != '\0' && client->sound != NULL)
		zmq_setsockopt(client->sound, ZMQ_UNSUBSCRIBE, client->event_topic, strlen(client->event_topic));
	lose(client);
	memcpy(client->avatar_id, avatar_id, strlen(avatar_id) + 1);
	snprintf(client->frame_topic, sizeof client->frame_topic, "frame/%s", avatar_id);
	snprintf(client->sound_topic, sizeof client->sound_topic, "audio/%s", avatar_id);
	snprintf(client->event_topic, sizeof client->event_topic, "event/%s", avatar_id);
	client->frame_samples = 0;
	client->file_told = false;
	zmq_setsockopt(client->sound, ZMQ_SUBSCRIBE, client->event_topic, strlen(client->event_topic));
}

static enum client_state connected_state(const struct client *client)
{
	return client->now.video ? CLIENT_CONNECTED : CLIENT_PAUSED;
}

/* Takes the newest wishes. */
static void take_wishes(struct client *client)
{
	struct client_wishes wishes;
	pthread_mutex_lock(&client->lock);
	const bool fresh = client->wishes_taken != client->wishes_given;
	client->wishes_taken = client->wishes_given;
	wishes = client->wishes;
	pthread_mutex_unlock(&client->lock);
	if (!fresh)
		return;
	const bool elsewhere = client->control == NULL || strcmp(client->now.endpoint, wishes.endpoint) != 0;
	const bool another = strcmp(client->now.avatar_id, wishes.avatar_id) != 0;
	client->now = wishes;
	if (elsewhere) {
		close_all(client);
		lose(client);
		if (client_endpoint_is_valid(wishes.endpoint))
			client->control = open_socket(client, ZMQ_DEALER, wishes.endpoint, WAITING_SOUND);
		set_state(client, client->control != NULL ? CLIENT_SEARCHING : CLIENT_BAD_ENDPOINT);
	} else if (another && client->welcomed) {
		client->greeted = client->welcomed = false; /* which avatars are there now? */
	} else {
		follow_wishes(client);
		if (!wishes.video)
			forget_stream(client); /* its last picture stays: it is shown again in a moment */
		if (client->welcomed && client->avatar_id[0] != '\0')
			set_state(client, connected_state(client));
	}
}

static void take_requests(struct client *client)
{
	struct wire_request requests[WAITING_REQUESTS];
	pthread_mutex_lock(&client->lock);
	const size_t count = client->request_count;
	memcpy(requests, client->requests, count * sizeof requests[0]);
	client->request_count = 0;
	const bool renew = client->renew;
	client->renew = false;
	pthread_mutex_unlock(&client->lock);
	for (size_t i = 0; i < count; i++) {
		snprintf(requests[i].request_id, sizeof requests[i].request_id, "pressed");
		memcpy(requests[i].avatar_id, client->avatar_id, sizeof client->avatar_id);
		if (!client->welcomed || !send_request(client, &requests[i]))
			say(client, CLIENT_LOG_WARNING, "the daemon at %s is not there; the request was not sent",
			    client->now.endpoint);
	}
	if (renew)
		client->greeted = false;
}

static void refuse(struct client *client, enum wire_result result)
{
	pthread_mutex_lock(&client->lock);
	client->status.refused++;
	pthread_mutex_unlock(&client->lock);
	const int64_t now = now_ns(client);
	if (client->refusal_told_ns != 0 && now - client->refusal_told_ns < 10000 * MS_NS)
		return;
	client->refusal_told_ns = now;
	say(client, CLIENT_LOG_WARNING, "a message of the daemon is passed over: %s", wire_result_text(result));
}

/* One message of ZeroMQ. Parts beyond the limit are read and forgotten. */
struct parts {
	zmq_msg_t part[MAX_PARTS];
	size_t count; /* that came, also those beyond the limit */
};

static void close_parts(struct parts *parts)
{
	for (size_t i = 0; i < parts->count && i < MAX_PARTS; i++)
		zmq_msg_close(&parts->part[i]);
	parts->count = 0;
}

static bool receive(void *socket, struct parts *parts)
{
	parts->count = 0;
	if (socket == NULL)
		return false;
	for (bool more = true; more; parts->count++) {
		zmq_msg_t beyond, *part = parts->count < MAX_PARTS ? &parts->part[parts->count] : &beyond;
		zmq_msg_init(part);
		if (zmq_msg_recv(part, socket, ZMQ_DONTWAIT) < 0) {
			zmq_msg_close(part);
			close_parts(parts);
			return false;
		}
		more = zmq_msg_more(part);
		if (part == &beyond)
			zmq_msg_close(part);
	}
	return true;
}

/* Reads the header at `at`; parts before it are not the header's. */
static enum wire_result read_parts(struct client *client, struct parts *parts, size_t at)
{
	if (parts->count <= at)
		return WIRE_BAD_MESSAGE;
	zmq_msg_t *header = &parts->part[at];
	enum wire_result result = wire_read(zmq_msg_data(header), zmq_msg_size(header), &client->message);
	if (result != WIRE_READ)
		return result;
	const size_t after = parts->count - at - 1;
	return wire_check_payload(&client->message, after, after == 1 ? zmq_msg_size(&parts->part[at + 1]) : 0);
}

static void be_welcome(struct client *client)
{
	const struct wire_welcome *welcome = &client->message.welcome;
	char address[CLIENT_ENDPOINT_ROOM];
	bool microphone = false, there = false;
	for (uint32_t i = 0; i < welcome->capabilities.count; i++)
		microphone = microphone || strcmp(welcome->capabilities.text[i], "set_microphone") == 0;
	pthread_mutex_lock(&client->lock);
	if (memcmp(&client->status.avatars, &welcome->avatars, sizeof welcome->avatars) != 0 ||
	    memcmp(&client->status.expressions, &welcome->expressions, sizeof welcome->expressions) != 0)
		client->status.revision++;
	client->status.avatars = welcome->avatars;
	client->status.expressions = welcome->expressions;
	client->status.has_microphone = microphone;
	client->status.problem[0] = '\0';
	memcpy(client->status.daemon, welcome->daemon, sizeof welcome->daemon);
	memset(client->status.infos, 0, sizeof client->status.infos);
	pthread_mutex_unlock(&client->lock);
	client->welcomed = true;
	if (!frames_address(client->now.endpoint, welcome->frames_endpoint, address, sizeof address)) {
		refuse(client, WIRE_BAD_FIELD);
		return;
	}
	if (strcmp(address, client->frames_endpoint) != 0) {
		close_frames(client);
		client->frames = open_socket(client, ZMQ_SUB, address, WAITING_FRAMES);
		client->sound = open_socket(client, ZMQ_SUB, address, WAITING_SOUND);
		if (client->frames == NULL || client->sound == NULL) {
			close_frames(client);
			say(client, CLIENT_LOG_WARNING, "no socket can be opened for the frames (%s)",
			    zmq_strerror(zmq_errno()));
			return;
		}
		memcpy(client->frames_endpoint, address, sizeof address);
	}
	const char *wanted = client->now.avatar_id;
	if (wanted[0] == '\0' && welcome->avatars.count > 0)
		wanted = welcome->avatars.text[0];
	for (uint32_t i = 0; i < welcome->avatars.count; i++) {
		struct wire_request ask = {.type = WIRE_GET_AVATAR_INFO};
		there = there || strcmp(wanted, welcome->avatars.text[i]) == 0;
		memcpy(ask.avatar_id, welcome->avatars.text[i], sizeof ask.avatar_id);
		snprintf(ask.request_id, sizeof ask.request_id, "info");
		send_request(client, &ask);
	}
	if (wanted[0] != '\0')
		show_avatar(client, wanted);
	follow_wishes(client);
	if (!there)
		lose(client);
	set_state(client, there ? connected_state(client) : CLIENT_NO_AVATAR);
}

static void take_info(struct client *client)
{
	const struct wire_avatar_info *info = &client->message.avatar_info;
	if (strcmp(info->avatar_id, client->avatar_id) == 0)
		client->frame_samples = 16000 / info->fps;
	pthread_mutex_lock(&client->lock);
	for (uint32_t i = 0; i < client->status.avatars.count; i++) {
		if (strcmp(client->status.avatars.text[i], info->avatar_id) == 0) {
			memcpy(client->status.infos[i].name, info->name, sizeof info->name);
			client->status.revision++;
		}
	}
	pthread_mutex_unlock(&client->lock);
}

static void take_refusal(struct client *client)
{
	const struct wire_error *error = &client->message.error;
	pthread_mutex_lock(&client->lock);
	memcpy(client->status.problem, error->text, sizeof error->text);
	client->status.revision++;
	pthread_mutex_unlock(&client->lock);
	say(client, CLIENT_LOG_WARNING, "the daemon refuses: %s", error->text);
}

static void read_control(struct client *client)
{
	struct parts parts;
	for (int i = 0; i < ROUND && receive(client->control, &parts); i++) {
		client->heard_ns = now_ns(client);
		const enum wire_result result = read_parts(client, &parts, 0);
		close_parts(&parts);
		if (result != WIRE_READ)
			refuse(client, result);
		else if (client->message.type == WIRE_WELCOME)
			be_welcome(client);
		else if (client->message.type == WIRE_AVATAR_INFO)
			take_info(client);
		else if (client->message.type == WIRE_ERROR)
			take_refusal(client);
	}
}

/* The connection was made or has ended. */
static void read_monitor(struct client *client)
{
	struct parts parts;
	for (int i = 0; i < ROUND && receive(client->monitor, &parts); i++) {
		uint16_t event = 0;
		if (zmq_msg_size(&parts.part[0]) >= sizeof event)
			memcpy(&event, zmq_msg_data(&parts.part[0]), sizeof event);
		close_parts(&parts);
		client->greeted = client->welcomed = false;
		client->heard_ns = now_ns(client);
		if (event == ZMQ_EVENT_DISCONNECTED) {
			lose(client);
			set_state(client, CLIENT_SEARCHING);
		}
	}
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* A frame was handed out at this time. */
static void measure(struct client *client, const struct wire_frame *frame, int64_t now)
{
	const double latency_ms = (double)now / 1e6 - (double)frame->published_ns / 1e6;
	/* On another machine clocks cannot be compared. */
	if (latency_ms >= 0.0 && latency_ms < 10000.0)
		client->latencies_ms[client->latency_count++ % LATENCIES] = latency_ms;
	client->rate_frames++;
	double sorted[LATENCIES], fps = -1.0;
	if (now - client->rate_since_ns >= RATE_WINDOW_NS) {
		fps = (double)client->rate_frames * 1e9 / (double)(now - client->rate_since_ns);
		client->rate_frames = 0;
		client->rate_since_ns = now;
	}
	const size_t count = client->latency_count < LATENCIES ? client->latency_count : LATENCIES;
	const bool due = count > 0 && (client->latency_count % 16 == 0 || fps >= 0.0 || count < 16);
	if (due) {
		memcpy(sorted, client->latencies_ms, count * sizeof sorted[0]);
		qsort(sorted, count, sizeof sorted[0], compare);
	}
	pthread_mutex_lock(&client->lock);
	struct client_status *status = &client->status;
	status->frames++;
	status->width = frame->width;
	status->height = frame->height;
	status->format = frame->format;
	status->alpha = frame->alpha;
	if (fps >= 0.0)
		status->fps = fps;
	if (due) {
		status->latency_ms = sorted[count / 2];
		status->latency_p95_ms = sorted[count * 95 / 100];
	}
	pthread_mutex_unlock(&client->lock);
}

static void count_lost(struct client *client, uint64_t frames)
{
	pthread_mutex_lock(&client->lock);
	client->status.lost += frames;
	pthread_mutex_unlock(&client->lock);
}

/* Whether a frame is newer than what was seen; counts those between that never came. */
static bool is_news(struct client *client, const struct wire_frame *frame)
{
	const int64_t step = frame->pts_samples - client->pts_samples;
	const bool seen_any = client->pts_samples >= 0;
	if (seen_any && step < -NEW_DAEMON_SAMPLES)
		client->epoch = 0; /* a daemon that was started anew */
	else if (seen_any && (frame->epoch < client->epoch || (step == 0 && frame->epoch == client->epoch)))
		return false;
	if (seen_any && frame->epoch == client->epoch && client->frame_samples > 0 && step < 16000 &&
	    step > client->frame_samples * 3 / 2)
		count_lost(client, (uint64_t)((step + client->frame_samples / 2) / client->frame_samples - 1));
	client->pts_samples = frame->pts_samples;
	client->epoch = frame->epoch;
	return true;
}

static bool topic_is(struct parts *parts, const char *topic)
{
	return parts->count > 0 && zmq_msg_size(&parts->part[0]) == strlen(topic) &&
	       memcmp(zmq_msg_data(&parts->part[0]), topic, strlen(topic)) == 0;
}

/* Hands out the newest of the frames that wait. */
static void read_frames(struct client *client)
{
	struct parts newest = {.count = 0}, parts;
	struct wire_frame frame;
	for (int i = 0; i < ROUND && receive(client->frames, &parts); i++) {
		const enum wire_result result = read_parts(client, &parts, 1);
		if (result != WIRE_READ || client->message.type != WIRE_FRAME ||
		    !topic_is(&parts, client->frame_topic)) {
			if (result != WIRE_READ)
				refuse(client, result);
			close_parts(&parts);
			continue;
		}
		if (!is_news(client, &client->message.frame)) {
			close_parts(&parts);
			continue;
		}
		if (newest.count > 0) {
			count_lost(client, 1);
			close_parts(&newest);
		}
		newest = parts;
		frame = client->message.frame;
	}
	if (newest.count == 0)
		return;
	client->heard_ns = now_ns(client);
	if (frame.format == WIRE_FILE) {
		set_state(client, CLIENT_BAD_FORMAT);
		lose(client);
	} else if (client->frames_subscribed) {
		const int64_t handed_ns = now_ns(client);
		client->shows = true;
		client->callbacks.frame(client->callbacks.user, &frame, zmq_msg_data(&newest.part[2]),
					!client->repeated);
		client->repeated = false;
		measure(client, &frame, handed_ns);
	}
	close_parts(&newest);
}

static void hand_out_sound(struct client *client, const struct wire_echo *echo, const uint8_t *data, size_t count)
{
	if (echo->pts_samples > INT64_MAX - WIRE_MAX_PAYLOAD_BYTES)
		return;
	const size_t room = sizeof client->samples / sizeof client->samples[0];
	for (size_t done = 0; done < count;) {
		const size_t piece = count - done < room ? count - done : room;
		/* Copied: what lies in ZeroMQ's buffer is not aligned, and may hold what is no number. */
		memcpy(client->samples, data + done * sizeof(float), piece * sizeof(float));
		for (size_t i = 0; i < piece; i++) {
			if (!(client->samples[i] >= -1.0f && client->samples[i] <= 1.0f))
				client->samples[i] = client->samples[i] > 1.0f    ? 1.0f
						     : client->samples[i] < -1.0f ? -1.0f
										  : 0.0f;
		}
		client->callbacks.sound(client->callbacks.user, echo, echo->pts_samples + (int64_t)done,
					client->samples, piece);
		done += piece;
	}
}

static void read_sound(struct client *client)
{
	struct parts parts;
	for (int i = 0; i < ROUND && receive(client->sound, &parts); i++) {
		const enum wire_result result = read_parts(client, &parts, 1);
		if (result != WIRE_READ) {
			refuse(client, result);
		} else if (client->message.type == WIRE_ECHO && topic_is(&parts, client->sound_topic)) {
			if (client->sound_subscribed)
				hand_out_sound(client, &client->message.echo, zmq_msg_data(&parts.part[2]),
					       zmq_msg_size(&parts.part[2]) / sizeof(float));
		} else if (client->message.type == WIRE_AVATAR_CLOSED && topic_is(&parts, client->event_topic)) {
			lose(client);
			set_state(client, CLIENT_NO_AVATAR);
			client->greeted = false; /* which avatars are there now? */
		}
		close_parts(&parts);
	}
}

static void keep_time(struct client *client)
{
	const int64_t now = now_ns(client);
	if (client->control == NULL)
		return;
	if (client->greeted && !client->welcomed && now - client->hello_ns > SILENT_NS)
		client->greeted = false; /* refused, perhaps for now only */
	if (!client->greeted) {
		struct wire_request hello = {.type = WIRE_HELLO, .client = "OBS"};
		snprintf(hello.request_id, sizeof hello.request_id, "hello");
		client->hello_ns = now;
		client->greeted = send_request(client, &hello);
	}
	if (now - client->ping_ns >= PING_NS) {
		struct wire_request ping = {.type = WIRE_PING};
		client->ping_ns = now;
		send_request(client, &ping);
	}
	if (client->welcomed && now - client->heard_ns > SILENT_NS) {
		client->greeted = client->welcomed = false;
		lose(client);
		set_state(client, CLIENT_SILENT);
	}
}

static void *serve(void *argument)
{
	struct client *client = argument;
	for (;;) {
		pthread_mutex_lock(&client->lock);
		const bool ending = client->ending;
		pthread_mutex_unlock(&client->lock);
		take_wishes(client);
		take_requests(client);
		if (ending)
			break;
		keep_time(client);
		zmq_pollitem_t items[5] = {{client->wake_out, 0, ZMQ_POLLIN, 0}};
		int count = 1;
		void *const sockets[] = {client->control, client->monitor, client->frames, client->sound};
		for (size_t i = 0; i < sizeof sockets / sizeof sockets[0]; i++) {
			if (sockets[i] != NULL)
				items[count++] = (zmq_pollitem_t){sockets[i], 0, ZMQ_POLLIN, 0};
		}
		zmq_poll(items, count, POLL_MS);
		struct parts wake;
		while (receive(client->wake_out, &wake))
			close_parts(&wake);
		read_monitor(client);
		read_control(client);
		read_frames(client);
		read_sound(client);
	}
	/* A button let go at the very end still has to reach the daemon. */
	if (client->control != NULL)
		set_option(client->control, ZMQ_LINGER, LAST_WORDS_MS);
	close_all(client);
	close_socket(&client->wake_out);
	return NULL;
}

static void wake(struct client *client)
{
	zmq_send(client->wake_in, "", 0, ZMQ_DONTWAIT);
}

struct client *client_create(const struct client_callbacks *callbacks)
{
	struct client *client = calloc(1, sizeof *client);
	if (client == NULL)
		return NULL;
	client->callbacks = *callbacks;
	client->status.state = CLIENT_SEARCHING;
	client->status.latency_ms = client->status.latency_p95_ms = -1.0;
	client->pts_samples = -1;
	client->context = zmq_ctx_new();
	if (client->context == NULL)
		goto no_context;
	client->wake_in = zmq_socket(client->context, ZMQ_PAIR);
	client->wake_out = zmq_socket(client->context, ZMQ_PAIR);
	if (client->wake_in == NULL || client->wake_out == NULL || zmq_bind(client->wake_out, "inproc://wake") < 0 ||
	    zmq_connect(client->wake_in, "inproc://wake") < 0)
		goto no_sockets;
	set_option(client->wake_in, ZMQ_LINGER, 0);
	if (pthread_mutex_init(&client->lock, NULL) != 0)
		goto no_sockets;
	if (pthread_create(&client->thread, NULL, serve, client) != 0)
		goto no_thread;
	return client;
no_thread:
	pthread_mutex_destroy(&client->lock);
no_sockets:
	close_socket(&client->wake_in);
	close_socket(&client->wake_out);
	zmq_ctx_term(client->context);
no_context:
	free(client);
	return NULL;
}

void client_destroy(struct client *client)
{
	if (client == NULL)
		return;
	pthread_mutex_lock(&client->lock);
	client->ending = true;
	wake(client);
	pthread_mutex_unlock(&client->lock);
	pthread_join(client->thread, NULL);
	close_socket(&client->wake_in);
	zmq_ctx_term(client->context);
	pthread_mutex_destroy(&client->lock);
	free(client);
}

void client_wish(struct client *client, const struct client_wishes *wishes)
{
	pthread_mutex_lock(&client->lock);
	client->wishes = *wishes;
	client->wishes_given++;
	wake(client);
	pthread_mutex_unlock(&client->lock);
}

void client_ask(struct client *client, const struct wire_request *request)
{
	pthread_mutex_lock(&client->lock);
	const bool room = client->request_count < WAITING_REQUESTS;
	if (room)
		client->requests[client->request_count++] = *request;
	wake(client);
	pthread_mutex_unlock(&client->lock);
}

void client_renew(struct client *client)
{
	pthread_mutex_lock(&client->lock);
	client->renew = true;
	wake(client);
	pthread_mutex_unlock(&client->lock);
}

void client_status(struct client *client, struct client_status *status)
{
	pthread_mutex_lock(&client->lock);
	*status = client->status;
	pthread_mutex_unlock(&client->lock);
}
