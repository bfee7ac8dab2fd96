// SPDX-FileCopyrightText: LLIA contributors
// SPDX-License-Identifier: GPL-2.0-or-later
/* Pixels of 4 bytes, alpha last. No OBS. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Divides colours by alpha, rounded to the nearest: OBS takes straight alpha. Both hold `count` pixels. */
void pixels_straighten(const uint8_t *premultiplied, uint8_t *straight, size_t count);

/* Draws a person's outline, grey on transparent: [height, width, 4], straight. */
void pixels_draw_placeholder(uint8_t *rgba, uint32_t width, uint32_t height);
