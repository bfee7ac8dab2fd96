// SPDX-FileCopyrightText: LLIA contributors
// SPDX-License-Identifier: GPL-2.0-or-later
#include "pixels.h"

#include <string.h>

void pixels_straighten(const uint8_t *premultiplied, uint8_t *straight, size_t count)
{
	/* 255 / alpha in 16.16, rounded up so that halves are: exact for every colour and alpha. */
	uint32_t factors[256] = {0};
	for (uint32_t alpha = 1; alpha < 256; alpha++)
		factors[alpha] = (255u * 65536u + alpha - 1) / alpha;
	for (size_t i = 0; i < count; i++, premultiplied += 4, straight += 4) {
		const uint8_t alpha = premultiplied[3];
		if (alpha == 255 || alpha == 0) {
			memcpy(straight, premultiplied, 4);
			continue;
		}
		for (int channel = 0; channel < 3; channel++) {
			const uint32_t colour = (premultiplied[channel] * factors[alpha] + 32768u) >> 16;
			straight[channel] = (uint8_t)(colour < 255 ? colour : 255);
		}
		straight[3] = alpha;
	}
}

/* Whether a point lies in the outline; the picture's shorter side goes from 0 to 1. */
static int is_inside(double x, double y)
{
	const double head_x = x / 0.155, head_y = (y - 0.36) / 0.19;
	const double body_x = x / 0.33, body_y = (y - 1.0) / 0.40;
	return head_x * head_x + head_y * head_y <= 1.0 || (y <= 1.0 && body_x * body_x + body_y * body_y <= 1.0);
}

void pixels_draw_placeholder(uint8_t *rgba, uint32_t width, uint32_t height)
{
	const double side = width < height ? width : height;
	const double left = width / 2.0, top = height - side;
	for (uint32_t row = 0; row < height; row++) {
		for (uint32_t column = 0; column < width; column++, rgba += 4) {
			int hits = 0; /* of 4 x 4 points in the pixel */
			for (int k = 0; k < 16; k++)
				hits += is_inside((column + (k % 4 + 0.5) / 4.0 - left) / side,
						  (row + (k / 4 + 0.5) / 4.0 - top) / side);
			memset(rgba, 128, 3);
			rgba[3] = (uint8_t)(hits * 160 / 16);
		}
	}
}
