// SPDX-FileCopyrightText: LLIA contributors
// SPDX-License-Identifier: GPL-2.0-or-later
#include "pixels.h"

#include <stdbool.h>
#include <string.h>

#include "check.h"

/* Every colour and alpha, against exact division. */
static void test_straighten(void)
{
	for (unsigned alpha = 0; alpha < 256; alpha++) {
		for (unsigned colour = 0; colour < 256; colour++) {
			const uint8_t from[4] = {(uint8_t)colour, (uint8_t)colour, 0, (uint8_t)alpha};
			uint8_t to[4];
			pixels_straighten(from, to, 1);
			unsigned wanted = alpha == 0 ? colour : (colour * 255 * 2 + alpha) / (alpha * 2);
			wanted = wanted < 255 ? wanted : 255;
			CHECK(to[0] == wanted && to[1] == wanted && to[2] == 0 && to[3] == alpha);
			/* Made premultiplied again it is what it was: nothing is lost that OBS shows. */
			if (colour <= alpha)
				CHECK((to[0] * alpha * 2 + 255) / 510 == colour);
		}
	}
}

static void test_placeholder(void)
{
	const uint32_t sizes[][2] = {{64, 64}, {96, 40}, {40, 96}, {1, 1}};
	for (size_t i = 0; i < 4; i++) {
		const size_t count = (size_t)sizes[i][0] * sizes[i][1];
		uint8_t *pixels = malloc(count * 4);
		size_t drawn = 0;
		pixels_draw_placeholder(pixels, sizes[i][0], sizes[i][1]);
		for (size_t k = 0; k < count; k++)
			drawn += pixels[4 * k + 3] > 0;
		CHECK(count == 1 || (drawn > count / 12 && drawn < count / 2));
		CHECK(count == 1 || pixels[3] == 0); /* the corner is free */
		free(pixels);
	}
}

int main(void)
{
	test_straighten();
	test_placeholder();
	return 0;
}
