/*
 * Threads on several processors that change one address space: what one maps, unmaps or protects, all see at once;
 * signals and wake-ups reach threads that run elsewhere. The argument is how many rounds; 1 if there is none.
 */
#define _GNU_SOURCE
#include "../programs/check.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 6, PAGE = 4096, SLOTS = 8 };

static int rounds = 1;
static atomic_long wrong;

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	return *state ^= *state << 17;
}

static void run(void *(*body)(void *), int count)
{
	pthread_t threads[16];

	for (long i = 0; i < count; i++)
		if (pthread_create(&threads[i], NULL, body, (void *)i))
			exit(2);
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
}

/* A piece of memory full of one word, which says who it is. */
struct piece { uint64_t size, pattern; };
static _Atomic(struct piece *) slots[SLOTS];

static struct piece *piece_make(uint64_t *random)
{
	uint64_t size = (1 + next_random(random) % 6) * PAGE;
	struct piece *piece = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (piece == MAP_FAILED)
		exit(3);
	for (uint64_t *at = (uint64_t *)piece; at < (uint64_t *)piece + size / 8; at++)
		wrong += *at != 0;
	piece->size = size;
	piece->pattern = next_random(random);
	for (uint64_t *at = (uint64_t *)(piece + 1); at < (uint64_t *)piece + size / 8; at++)
		*at = piece->pattern ^ (uintptr_t)at;
	return piece;
}

static void piece_check(struct piece *piece)
{
	for (uint64_t *at = (uint64_t *)(piece + 1); at < (uint64_t *)piece + piece->size / 8; at++)
		wrong += *at != (piece->pattern ^ (uintptr_t)at);
}

/* Pieces go from thread to thread; whoever finds one in its slot checks it and unmaps it. */
static void *exchange(void *argument)
{
	uint64_t random = 0x9e3779b97f4a7c15 * ((uintptr_t)argument + 1);

	for (int i = 0; i < 60 * rounds; i++) {
		struct piece *piece = atomic_exchange(&slots[next_random(&random) % SLOTS], piece_make(&random));

		if (piece) {
			piece_check(piece);
			if (next_random(&random) % 4 == 0)
				mprotect(piece, piece->size, PROT_READ);
			piece_check(piece);
			munmap(piece, piece->size);
		}
	}
	return NULL;
}

static void memory(void)
{
	run(exchange, THREADS);
	for (int i = 0; i < SLOTS; i++) {
		if (slots[i]) {
			piece_check(slots[i]);
			munmap(slots[i], slots[i]->size);
		}
	}
	CHECK("memory that threads hand on keeps its contents, and new memory is zero", wrong == 0);
}

/* A page that becomes read-only: from then on no thread's write reaches it, whatever its processor remembers. */
static volatile uint64_t *page;
static atomic_int stop, faults;

static void on_fault(int signal)
{
	(void)signal;
	faults++;
	sched_yield();
}

static void *write_page(void *argument)
{
	volatile uint64_t *mine = page + 1 + (uintptr_t)argument;

	while (!stop)
		++*mine;
	return NULL;
}

static void *protect(void *argument)
{
	(void)argument;
	for (int i = 0; i < 30 * rounds; i++) {
		uint64_t before[THREADS];

		mprotect((void *)page, PAGE, PROT_READ);
		for (int t = 0; t < THREADS; t++)
			before[t] = page[1 + t];
		for (volatile int wait = 0; wait < 300; wait++)
			;
		for (int t = 0; t < THREADS; t++)
			wrong += before[t] != page[1 + t];
		mprotect((void *)page, PAGE, PROT_READ | PROT_WRITE);
		for (volatile int wait = 0; wait < 300; wait++)
			;
	}
	stop = 1;
	return NULL;
}

static void *protect_or_write(void *argument) { return argument ? write_page(argument) : protect(argument); }

static void protection(void)
{
	struct sigaction action = { .sa_handler = on_fault }, old;

	sigaction(SIGSEGV, &action, &old);
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	run(protect_or_write, 4);
	sigaction(SIGSEGV, &old, NULL);
	munmap((void *)page, PAGE);
	CHECK("no write gets through after mprotect", wrong == 0);
}

/* A new page in place of the old one, with a number that only grows: nobody reads the old page after that. */
static atomic_ulong replaced;

static void *read_page(void *argument)
{
	(void)argument;
	while (!stop) {
		uint64_t least = replaced, seen = page[0];

		wrong += seen != 0 && seen < least;
	}
	return NULL;
}

static void *replace(void *argument)
{
	(void)argument;
	for (uint64_t i = 1; i <= 40u * rounds; i++) {
		if (mmap((void *)page, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
		    (void *)page)
			exit(4);
		page[0] = i;
		replaced = i;
	}
	stop = 1;
	return NULL;
}

/* Between munmap and mmap of MAP_FIXED the page may be missing. */
static void *replace_or_read(void *argument) { return argument ? read_page(argument) : replace(argument); }

static void replacement(void)
{
	struct sigaction action = { .sa_handler = on_fault }, old;

	stop = 0;
	sigaction(SIGSEGV, &action, &old);
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	run(replace_or_read, 4);
	sigaction(SIGSEGV, &old, NULL);
	munmap((void *)page, PAGE);
	CHECK("a page that was replaced is not seen again", wrong == 0);
}

/* Signals to threads that compute and make no call. */
static atomic_int handled;
static void on_signal(int signal) { (void)signal, handled++; }

static void *compute(void *argument)
{
	(void)argument;
	while (!stop)
		;
	return NULL;
}

static void signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	pthread_t threads[3];

	stop = 0;
	sigaction(SIGUSR1, &action, NULL);
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, compute, NULL);
	for (int i = 0; i < 20 * rounds; i++) {
		int before = handled;

		pthread_kill(threads[i % 3], SIGUSR1);
		while (handled == before)
			sched_yield();
	}
	stop = 1;
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	CHECK("signals reach threads that run", handled == 20 * rounds);
}

/* Wake-ups: numbers go around a ring of threads through condition variables, and through pipes. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int turn, pipes[THREADS][2];

static void *take_turns(void *argument)
{
	int me = (intptr_t)argument;

	for (int i = 0; i < 30 * rounds; i++) {
		pthread_mutex_lock(&mutex);
		while (turn % THREADS != me)
			pthread_cond_wait(&changed, &mutex);
		turn++;
		pthread_cond_broadcast(&changed);
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}

static void *pass_on(void *argument)
{
	int me = (intptr_t)argument, value;

	for (int i = 0; i < 30 * rounds; i++) {
		if (read(pipes[me][0], &value, sizeof value) != sizeof value)
			wrong++;
		value++;
		if (write(pipes[(me + 1) % THREADS][1], &value, sizeof value) != sizeof value)
			wrong++;
	}
	return NULL;
}

static void wake_ups(void)
{
	int value = 0;

	run(take_turns, THREADS);
	CHECK("threads take turns by a condition variable", turn == THREADS * 30 * rounds);
	for (int i = 0; i < THREADS; i++)
		if (pipe(pipes[i]))
			exit(5);
	write(pipes[0][1], &value, sizeof value);
	run(pass_on, THREADS);
	read(pipes[0][0], &value, sizeof value);
	CHECK("a number goes around a ring of pipes", wrong == 0 && value == THREADS * 30 * rounds);
}

/* Floating-point registers are the thread's, on whichever processor it goes on. */
static void *add_up(void *argument)
{
	double sum = 0, step = 1 + (intptr_t)argument;

	for (int i = 1; i <= 4000 * rounds; i++) {
		sum += step;
		if (i % 500 == 0)
			sched_yield();
	}
	wrong += sum != step * 4000 * rounds;
	return NULL;
}

/* Threads that end while others begin: stacks are mapped and unmapped all the time. */
static atomic_int ended;
static void *end_at_once(void *argument)
{
	ended++;
	return argument;
}

static void *begin_others(void *argument)
{
	for (int i = 0; i < 15 * rounds; i++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, end_at_once, NULL))
			exit(6);
		if (i % 2)
			pthread_detach(thread);
		else
			pthread_join(thread, NULL);
	}
	return argument;
}

static void ends(void)
{
	run(add_up, THREADS);
	CHECK("floating-point registers follow their thread", wrong == 0);
	run(begin_others, THREADS);
	while (ended < THREADS * 15 * rounds)
		sched_yield();
	CHECK("threads begin and end beside each other", ended == THREADS * 15 * rounds);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		rounds = atoi(argv[1]);
	memory();
	protection();
	replacement();
	signals();
	wake_ups();
	ends();
	CHECK_END();
}
