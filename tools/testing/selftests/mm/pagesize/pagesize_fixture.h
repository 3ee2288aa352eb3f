/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fixture that runs each test at the default size and at each that there
 * is. Without the feature, the default remains.
 */
#ifndef __PAGESIZE_FIXTURE_H
#define __PAGESIZE_FIXTURE_H

#include "kselftest_harness.h"
#include "pagesize.h"

FIXTURE(pages) {
	unsigned long size;	/* of the process page in a child */
	char text[24];		/* the same in decimal */
};

FIXTURE_VARIANT(pages) {
	unsigned int shift;
};

FIXTURE_VARIANT_ADD(pages, default) { .shift = DEFAULT_SIZE };
FIXTURE_VARIANT_ADD(pages, 4k) { .shift = 12 };
FIXTURE_VARIANT_ADD(pages, 16k) { .shift = 14 };
FIXTURE_VARIANT_ADD(pages, 64k) { .shift = 16 };

FIXTURE_SETUP(pages)
{
	self->size = variant->shift ? 1UL << variant->shift :
				      kernel_page_size();
	snprintf(self->text, sizeof(self->text), "%lu", self->size);
	if (!size_offered(variant->shift))
		SKIP(return, "page size not offered");
}

FIXTURE_TEARDOWN(pages)
{
}

/* Run a child function, given the size and what else is passed. */
#define EXPECT_CHILD(name, ...)						\
	do {								\
		int ret_ = run_child(variant->shift, name, self->text,	\
				     ##__VA_ARGS__, NULL);		\
									\
		if (ret_ == KSFT_SKIP)					\
			SKIP(, "skipped in the child");			\
		else							\
			EXPECT_EQ(0, ret_);				\
	} while (0)

#endif /* __PAGESIZE_FIXTURE_H */
