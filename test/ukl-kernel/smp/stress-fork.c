/*
 * fork, wait and exit_group on several processors: copies of an address space that other threads are writing to,
 * processes that end while their threads run elsewhere. The argument is how many rounds; 1 if there is none.
 */
#define _GNU_SOURCE
#include "../programs/check.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WRITERS = 3, PAGES = 8, WORDS = 512 };

static int rounds = 1;
static atomic_int stop;
static volatile uint64_t (*area)[PAGES][WORDS];

/* Fills its pages with 1, then 2, ... from the first word to the last. */
static void *fill(void *argument)
{
	volatile uint64_t(*mine)[WORDS] = area[(intptr_t)argument];
	long wrong = 0;

	for (uint64_t number = 1; !stop; number++) {
		for (int i = 0; i < PAGES; i++)
			for (int w = 0; w < WORDS; w++)
				mine[i][w] = number;
		for (int i = 0; i < PAGES; i++)
			for (int w = 0; w < WORDS; w++)
				wrong += mine[i][w] != number;
	}
	return (void *)wrong;
}

/* At any moment numbers do not grow from word to word, and the last is at most one behind the first. */
static int snapshot_is_right(void)
{
	for (int t = 0; t < WRITERS; t++) {
		for (int i = 0; i < PAGES; i++) {
			volatile uint64_t *words = area[t][i];

			for (int w = 1; w < WORDS; w++)
				if (words[w] > words[w - 1] || words[0] - words[w] > 1)
					return 0;
		}
	}
	return 1;
}

/* In a child: its memory is its own. */
static int child(int number)
{
	if (!snapshot_is_right())
		return 1;
	for (int t = 0; t < WRITERS; t++)
		for (int i = 0; i < PAGES; i++)
			for (int w = 0; w < WORDS; w++)
				area[t][i][w] = ~(uint64_t)number;
	sched_yield();
	for (int t = 0; t < WRITERS; t++)
		for (int i = 0; i < PAGES; i++)
			for (int w = 0; w < WORDS; w++)
				if (area[t][i][w] != ~(uint64_t)number)
					return 2;
	return 0;
}

static void copies(void)
{
	pthread_t writers[WRITERS];
	long wrong = 0, failed = 0;

	area = mmap(NULL, sizeof *area * WRITERS, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (long i = 0; i < WRITERS; i++)
		pthread_create(&writers[i], NULL, fill, (void *)i);
	for (int i = 0; i < 6 * rounds; i++) {
		int status;
		pid_t pids[2];

		for (int c = 0; c < 2; c++)
			if ((pids[c] = fork()) == 0)
				_exit(child(i));
		for (int c = 0; c < 2; c++)
			if (waitpid(pids[c], &status, 0) != pids[c] || status != 0)
				failed++;
	}
	stop = 1;
	for (int i = 0; i < WRITERS; i++) {
		void *result;

		pthread_join(writers[i], &result);
		wrong += (long)result;
	}
	CHECK("children see each page as it was at one moment, and their own writes", failed == 0);
	CHECK("what children write the parent does not see", wrong == 0);
}

static void *compute(void *argument)
{
	for (;;)
		;
	return argument;
}

/* The process ends though its threads compute, by exit_group and by a signal. */
static void ends(void)
{
	long failed = 0;

	for (int i = 0; i < 8 * rounds; i++) {
		int status, ready[2];
		char byte = 1;

		if (pipe(ready))
			exit(2);
		pid_t pid = fork();
		if (pid == 0) {
			pthread_t thread;

			for (int t = 0; t < 3; t++)
				pthread_create(&thread, NULL, compute, NULL);
			write(ready[1], &byte, 1);
			if (i % 2)
				_exit(i % 100);
			compute(NULL);
		}
		close(ready[1]);
		if (read(ready[0], &byte, 1) != 1)
			failed++;
		close(ready[0]);
		if (!(i % 2))
			kill(pid, SIGTERM);
		if (waitpid(pid, &status, 0) != pid)
			failed++;
		failed += i % 2 ? !WIFEXITED(status) || WEXITSTATUS(status) != i % 100
				: !WIFSIGNALED(status) || WTERMSIG(status) != SIGTERM;
	}
	CHECK("a process ends with all its threads, wherever they run", failed == 0);
}

/* Many processes at once that make more. */
static int tree(int depth)
{
	int status, sum = 1;
	pid_t pids[2];

	if (depth == 0)
		return 1;
	for (int i = 0; i < 2; i++)
		if ((pids[i] = fork()) == 0)
			_exit(tree(depth - 1));
	for (int i = 0; i < 2; i++)
		if (waitpid(pids[i], &status, 0) == pids[i] && WIFEXITED(status))
			sum += WEXITSTATUS(status);
	return sum;
}

int main(int argc, char **argv)
{
	if (argc > 1)
		rounds = atoi(argv[1]);
	copies();
	ends();
	long wrong = 0;
	for (int i = 0; i < rounds; i++)
		wrong += tree(4) != 31;
	CHECK("a tree of processes counts itself", wrong == 0);
	CHECK_END();
}
