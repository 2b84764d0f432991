/*
 * Threads: a bounded queue with a mutex and two condition variables, thread-local storage, join. The main
 * thread puts numbers into the queue, workers take them out and add them up, each in a variable of its own.
 */
#include <pthread.h>
#include <stdio.h>
#include <time.h>

enum {
	WORKERS = 4,
	NUMBERS = 1000,
	CAPACITY = 8,
	END = 0,		/* tells a worker that nothing more comes */
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t not_empty, not_full;
	unsigned first, count;
	unsigned items[CAPACITY];
} queue = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.not_empty = PTHREAD_COND_INITIALIZER,
	.not_full = PTHREAD_COND_INITIALIZER,
};

static void put(unsigned item)
{
	pthread_mutex_lock(&queue.lock);
	while (queue.count == CAPACITY)
		pthread_cond_wait(&queue.not_full, &queue.lock);
	queue.items[(queue.first + queue.count) % CAPACITY] = item;
	queue.count++;
	pthread_cond_signal(&queue.not_empty);
	pthread_mutex_unlock(&queue.lock);
}

static unsigned get(void)
{
	unsigned item;

	pthread_mutex_lock(&queue.lock);
	while (queue.count == 0)
		pthread_cond_wait(&queue.not_empty, &queue.lock);
	item = queue.items[queue.first];
	queue.first = (queue.first + 1) % CAPACITY;
	queue.count--;
	pthread_cond_signal(&queue.not_full);
	pthread_mutex_unlock(&queue.lock);
	return item;
}

static __thread unsigned long sum;	/* one for each thread */
static __thread int started = 1;	/* initialised from the program's template */

static void *work(void *argument)
{
	unsigned item;

	(void)argument;
	if (started != 1 || sum != 0)
		return (void *)-1L;
	while ((item = get()) != END)
		sum += item;
	return (void *)sum;
}

/* Ends on its own: nobody joins it. */
static void *detached(void *argument)
{
	put((unsigned)(unsigned long)argument);
	return NULL;
}

int main(void)
{
	pthread_t workers[WORKERS], alone;
	unsigned long total = 0;

	for (int i = 0; i < WORKERS; i++) {
		if (pthread_create(&workers[i], NULL, work, NULL) != 0) {
			printf("threads: pthread_create failed\n");
			return 1;
		}
	}
	for (unsigned number = 1; number <= NUMBERS; number++)
		put(number);
	if (pthread_create(&alone, NULL, detached, (void *)5UL) != 0 || pthread_detach(alone) != 0) {
		printf("threads: a detached thread could not be made\n");
		return 1;
	}
	/* Time for the detached thread to add its number and to end. */
	nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
	for (int i = 0; i < WORKERS; i++)
		put(END);
	for (int i = 0; i < WORKERS; i++) {
		void *result;

		pthread_join(workers[i], &result);
		total += (unsigned long)result;
	}
	printf("%d workers added 1 to %d and 5: %lu, expected %d.\n", WORKERS, NUMBERS, total,
	       NUMBERS * (NUMBERS + 1) / 2 + 5);
	return total != NUMBERS * (NUMBERS + 1) / 2 + 5;
}
