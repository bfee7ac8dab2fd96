// SPDX-FileCopyrightText: LLIA contributors
// SPDX-License-Identifier: GPL-2.0-or-later
/* Hotkeys of the source, and the keys of OBS's Interact window: expressions, push-to-talk, mute, barge-in. */
#include "avatar-source.h"

static void ask(struct avatar_source *avatar, enum wire_request_type type, const char *talk, const char *mute)
{
	const struct wire_request request = {.type = type, .talk = talk, .mute = mute};
	client_ask(avatar->client, &request);
}

static void talk(struct avatar_source *avatar, bool pressed)
{
	if (os_atomic_set_bool(&avatar->talks, pressed) != pressed)
		ask(avatar, WIRE_SET_MICROPHONE, pressed ? "on" : "off", "");
}

static void mute(struct avatar_source *avatar)
{
	/* The daemon toggles: the page may have muted it, too. */
	ask(avatar, WIRE_SET_MICROPHONE, "", "toggle");
}

static void barge_in(struct avatar_source *avatar)
{
	ask(avatar, WIRE_CANCEL, "", "");
}

static void express(struct avatar_source *avatar, const char *preset)
{
	struct wire_request request = {.type = WIRE_SET_EXPRESSION, .talk = "", .mute = ""};
	snprintf(request.preset, sizeof request.preset, "%s", preset);
	client_ask(avatar->client, &request);
}

static void on_talk(void *data, obs_hotkey_id id, obs_hotkey_t *hotkey, bool pressed)
{
	UNUSED_PARAMETER(id);
	UNUSED_PARAMETER(hotkey);
	talk(data, pressed);
}

static void on_mute(void *data, obs_hotkey_id id, obs_hotkey_t *hotkey, bool pressed)
{
	UNUSED_PARAMETER(id);
	UNUSED_PARAMETER(hotkey);
	if (pressed)
		mute(data);
}

static void on_cancel(void *data, obs_hotkey_id id, obs_hotkey_t *hotkey, bool pressed)
{
	UNUSED_PARAMETER(id);
	UNUSED_PARAMETER(hotkey);
	if (pressed)
		barge_in(data);
}

static void on_expression(void *data, obs_hotkey_id id, obs_hotkey_t *hotkey, bool pressed)
{
	const struct expression_key *key = data;
	UNUSED_PARAMETER(id);
	UNUSED_PARAMETER(hotkey);
	if (pressed)
		express(key->avatar, key->preset);
}

static void offer(struct avatar_source *avatar, const char *preset)
{
	char name[WIRE_ID_ROOM + 32], description[WIRE_ID_ROOM + 128];
	for (size_t i = 0; i < avatar->expression_count; i++) {
		if (strcmp(avatar->expressions[i].preset, preset) == 0)
			return;
	}
	if (preset[0] == '\0' || avatar->expression_count == WIRE_MAX_ITEMS)
		return;
	struct expression_key *key = &avatar->expressions[avatar->expression_count];
	key->avatar = avatar;
	snprintf(key->preset, sizeof key->preset, "%s", preset);
	snprintf(name, sizeof name, "llia.expression.%s", preset);
	snprintf(description, sizeof description, "%s: %s", obs_module_text("Hotkey.Expression"), preset);
	key->hotkey = obs_hotkey_register_source(avatar->source, name, description, on_expression, key);
	avatar->expression_count++;
}

void controls_offer(struct avatar_source *avatar, const struct wire_texts *expressions)
{
	for (uint32_t i = 0; i < expressions->count; i++)
		offer(avatar, expressions->text[i]);
}

void controls_create(struct avatar_source *avatar, obs_data_t *settings)
{
	obs_source_t *source = avatar->source;
	avatar->talk_hotkey =
		obs_hotkey_register_source(source, "llia.talk", obs_module_text("Hotkey.Talk"), on_talk, avatar);
	avatar->mute_hotkey =
		obs_hotkey_register_source(source, "llia.mute", obs_module_text("Hotkey.Mute"), on_mute, avatar);
	avatar->cancel_hotkey =
		obs_hotkey_register_source(source, "llia.cancel", obs_module_text("Hotkey.Cancel"), on_cancel, avatar);
	obs_data_array_t *names = obs_data_get_array(settings, KEY_EXPRESSIONS);
	for (size_t i = 0; i < obs_data_array_count(names); i++) {
		obs_data_t *item = obs_data_array_item(names, i);
		offer(avatar, obs_data_get_string(item, "name"));
		obs_data_release(item);
	}
	obs_data_array_release(names);
}

void controls_destroy(struct avatar_source *avatar)
{
	obs_hotkey_unregister(avatar->talk_hotkey);
	obs_hotkey_unregister(avatar->mute_hotkey);
	obs_hotkey_unregister(avatar->cancel_hotkey);
	for (size_t i = 0; i < avatar->expression_count; i++)
		obs_hotkey_unregister(avatar->expressions[i].hotkey);
	talk(avatar, false);
}

void controls_click(void *data, const struct obs_mouse_event *event, int32_t type, bool up, uint32_t count)
{
	struct avatar_source *avatar = data;
	UNUSED_PARAMETER(event);
	UNUSED_PARAMETER(type);
	UNUSED_PARAMETER(count);
	/* A click gives the source the keyboard. */
	if (!up)
		obs_source_send_focus(avatar->source, true);
}

void controls_focus(void *data, bool focus)
{
	if (!focus)
		talk(data, false); /* the key's release will not be seen any more */
}

void controls_key(void *data, const struct obs_key_event *event, bool up)
{
	struct avatar_source *avatar = data;
	const char key = event->text != NULL ? event->text[0] : '\0';
	if (key == ' ')
		talk(avatar, !up);
	else if (up)
		return;
	else if (key == 'm' || key == 'M')
		mute(avatar);
	else if (key == 'x' || key == 'X')
		barge_in(avatar);
	else if (key >= '1' && key <= '9' && (size_t)(key - '1') < avatar->expression_count)
		express(avatar, avatar->expressions[key - '1'].preset);
}
