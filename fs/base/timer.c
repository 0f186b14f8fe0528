/* SPDX-License-Identifier: MIT */
/* Timers in a binary heap, the earliest first. Under the daemon lock. */
#include <stdlib.h>
#include <sys/timerfd.h>

#include "base/timer.h"
#include "object/engine.h"

int timer_fd = -1;

static struct timer **heap;
static size_t heap_len, heap_cap;

static void heap_put(struct timer *t, size_t i)
{
	heap[i] = t;
	t->heap_at = (uint32_t)i + 1;
}

static void heap_up(struct timer *t, size_t i)
{
	while (i && heap[(i - 1) / 2]->deadline > t->deadline) {
		heap_put(heap[(i - 1) / 2], i);
		i = (i - 1) / 2;
	}
	heap_put(t, i);
}

static void heap_down(struct timer *t, size_t i)
{
	for (;;) {
		size_t k = 2 * i + 1;

		if (k + 1 < heap_len && heap[k + 1]->deadline < heap[k]->deadline)
			k++;
		if (k >= heap_len || heap[k]->deadline >= t->deadline)
			break;
		heap_put(heap[k], i);
		i = k;
	}
	heap_put(t, i);
}

/* Wake the event thread when the earliest deadline has passed. */
static void arm(void)
{
	struct itimerspec its = { 0 };

	if (heap_len) {
		int64_t t = heap[0]->deadline > 0 ? heap[0]->deadline : 1;

		its.it_value.tv_sec = t / 1000000000;
		its.it_value.tv_nsec = t % 1000000000;
	}
	timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &its, NULL);
}

void timer_set(struct timer *t, int64_t deadline)
{
	timer_remove(t);
	if (deadline == IPC_NEVER)
		return;
	t->deadline = deadline;
	if (heap_len == heap_cap) {
		size_t cap = heap_cap ? 2 * heap_cap : 64;
		struct timer **h = realloc(heap, cap * sizeof(*h));

		if (!h)
			abort();
		heap = h;
		heap_cap = cap;
	}
	heap_up(t, heap_len++);
	if (t->heap_at == 1)
		arm();
}

void timer_remove(struct timer *t)
{
	size_t i = t->heap_at;
	struct timer *last;

	if (!i--)
		return;
	t->heap_at = 0;
	last = heap[--heap_len];
	if (last != t) {
		heap_up(last, i);
		heap_down(last, last->heap_at - 1);
	}
	if (!i)
		arm();
}

void timers_expire(void)
{
	while (heap_len && heap[0]->deadline <= (int64_t)ipc_now())
		heap[0]->fire(heap[0]);
	arm();
}

void timers_free(void)
{
	free(heap);
	heap = NULL;
	heap_len = heap_cap = 0;
}
