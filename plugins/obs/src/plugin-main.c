// SPDX-FileCopyrightText: LLIA contributors
// SPDX-License-Identifier: GPL-2.0-or-later
#include <obs-module.h>
#include <zmq.h>

OBS_DECLARE_MODULE()
OBS_MODULE_USE_DEFAULT_LOCALE("llia-obs", "en-US")
OBS_MODULE_AUTHOR("LLIA contributors")

extern const struct obs_source_info llia_avatar_source;

const char *obs_module_name(void)
{
	return "LLIA";
}

const char *obs_module_description(void)
{
	return obs_module_text("Description");
}

bool obs_module_load(void)
{
	int major, minor, patch;
	zmq_version(&major, &minor, &patch);
	obs_register_source(&llia_avatar_source);
	blog(LOG_INFO, "[llia-obs] version %s, ZeroMQ %d.%d.%d", PLUGIN_VERSION, major, minor, patch);
	return true;
}
