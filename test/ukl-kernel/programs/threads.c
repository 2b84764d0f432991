/* POSIX threads: creation, mutexes and condition variables under contention, thread-local data, ends. */
#define _GNU_SOURCE
#include "check.h"
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 8, ROUNDS = 2000 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static long counter;
static _Thread_local long own = 5;

static void *count(void *argument)
{
	for (int i = 0; i < ROUNDS; i++) {
		pthread_mutex_lock(&mutex);
		long seen = counter;

		if (i % 100 == 0)
			sched_yield();
		counter = seen + 1;
		pthread_mutex_unlock(&mutex);
		own++;
	}
	return (void *)(own + (long)argument);
}

static void contention(void)
{
	pthread_t threads[THREADS];
	long sum = 0;

	for (long i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, count, (void *)i))
			exit(2);
	for (int i = 0; i < THREADS; i++) {
		void *result;

		pthread_join(threads[i], &result);
		sum += (long)result;
	}
	CHECK("a mutex loses no increment", counter == THREADS * ROUNDS);
	CHECK("thread-local data are each thread's own", sum == THREADS * (ROUNDS + 5) + 28 && own == 5);
}

static int turn;

static void *ping(void *argument)
{
	int me = (long)argument;

	for (int i = 0; i < 200; i++) {
		pthread_mutex_lock(&mutex);
		while (turn % 2 != me)
			pthread_cond_wait(&condition, &mutex);
		turn++;
		pthread_cond_broadcast(&condition);
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}

static sem_t semaphore;
static pthread_barrier_t barrier;
static int serial_threads;

static void *meet(void *unused)
{
	(void)unused;
	if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
		__atomic_add_fetch(&serial_threads, 1, __ATOMIC_SEQ_CST);
	sem_post(&semaphore);
	return NULL;
}

static void synchronisation(void)
{
	pthread_t a, b, threads[4];
	struct timespec deadline;
	int result;

	pthread_create(&a, NULL, ping, (void *)0);
	pthread_create(&b, NULL, ping, (void *)1);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	CHECK("a condition variable passes the turn 400 times", turn == 400);

	sem_init(&semaphore, 0, 0);
	pthread_barrier_init(&barrier, NULL, 4);
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, meet, NULL);
	for (int i = 0; i < 4; i++)
		sem_wait(&semaphore);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	CHECK("a barrier lets go together", serial_threads == 1);

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_nsec += 30000000;
	deadline.tv_sec += deadline.tv_nsec / 1000000000;
	deadline.tv_nsec %= 1000000000;
	result = sem_timedwait(&semaphore, &deadline);
	CHECK("sem_timedwait times out", result == -1 && errno == ETIMEDOUT);
	pthread_mutex_lock(&mutex);
	result = pthread_cond_timedwait(&condition, &mutex, &deadline);
	pthread_mutex_unlock(&mutex);
	CHECK("pthread_cond_timedwait with a time in the past", result == ETIMEDOUT);
}

static volatile int handled_by;
static pthread_t target;
static void on_signal(int signal) { handled_by = signal == SIGUSR1 && pthread_equal(pthread_self(), target) ? 1 : 2; }

static void *wait_for_signal(void *unused)
{
	(void)unused;
	target = pthread_self();
	sem_post(&semaphore);
	while (!handled_by)
		usleep(1000);
	return NULL;
}

static void *sleep_long(void *unused)
{
	(void)unused;
	for (;;)
		sleep(100);
	return NULL;
}

static void *detached(void *unused)
{
	(void)unused;
	sem_post(&semaphore);
	return NULL;
}

static void ends(void)
{
	pthread_t thread;
	pthread_attr_t attributes;
	struct sigaction action = { .sa_handler = on_signal };
	void *result;
	int created = 0;

	sigaction(SIGUSR1, &action, NULL);
	pthread_create(&thread, NULL, wait_for_signal, NULL);
	sem_wait(&semaphore);
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, NULL);
	CHECK("pthread_kill reaches the thread", handled_by == 1);

	pthread_create(&thread, NULL, sleep_long, NULL);
	usleep(10000);
	pthread_cancel(thread);
	pthread_join(thread, &result);
	CHECK("pthread_cancel ends a sleep", result == PTHREAD_CANCELED);

	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	for (int i = 0; i < 100; i++) {
		created += pthread_create(&thread, &attributes, detached, NULL) == 0;
		sem_wait(&semaphore);
	}
	CHECK("a hundred detached threads come and go", created == 100);
}

static volatile long spinning;
static void *spin(void *unused)
{
	(void)unused;
	while (!spinning)
		;
	return NULL;
}

int main(void)
{
	pthread_t thread;

	contention();
	synchronisation();
	ends();
	pthread_create(&thread, NULL, spin, NULL);
	usleep(30000);
	spinning = 1;
	pthread_join(thread, NULL);
	CHECK("a thread that never calls the kernel is preempted", 1);
	CHECK_END();
}
