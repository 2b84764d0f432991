/*
 * Writes numbered records into files of a directory and makes each durable before it says so:
 *
 *     record-writer DIRECTORY
 *
 * Record N is `size(N)` bytes in file N / 32: its number, its size, and words that both decide (`record.ts` has the same
 * arithmetic). After fsync has returned, "record N" is printed. A new file's directory is made durable too. Of the files
 * the last 16 stay. Goes on where the directory's files end.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PER_FILE = 32, FILES_KEPT = 16, MAX_WORDS = 2048 };

static uint32_t mix(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x7feb352dU;
    x ^= x >> 15;
    x *= 0x846ca68bU;
    return x ^ (x >> 16);
}

static uint32_t words_of(uint32_t number) { return 2 + mix(number) % (MAX_WORDS - 2); }

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void must_write(int fd, const void *bytes, size_t size)
{
    for (const char *p = bytes; size > 0;) {
        ssize_t done = write(fd, p, size);
        if (done < 0)
            die("write");
        p += done;
        size -= (size_t)done;
    }
}

/* Files are named by their number in eight digits. */
static long last_file(const char *path)
{
    long last = -1;
    DIR *directory = opendir(path);
    if (!directory)
        die("opendir");
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (entry->d_name[0] != '.' && atol(entry->d_name) > last)
            last = atol(entry->d_name);
    }
    closedir(directory);
    return last;
}

int main(int argc, char **argv)
{
    static uint32_t record[MAX_WORDS];
    char name[16];

    if (argc != 2 || chdir(argv[1]) < 0)
        die("chdir");
    int directory = open(".", O_RDONLY | O_DIRECTORY);
    /* The last file may end within a record: a new one is begun. */
    for (uint32_t file = (uint32_t)(last_file(".") + 1);; file++) {
        snprintf(name, sizeof name, "%08u", file);
        int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);
        if (fd < 0)
            die(name);
        if (fsync(directory) < 0)
            die("fsync of the directory");
        for (uint32_t number = file * PER_FILE; number < (file + 1) * PER_FILE; number++) {
            uint32_t words = words_of(number);
            record[0] = number;
            record[1] = words;
            for (uint32_t i = 2; i < words; i++)
                record[i] = mix(number * MAX_WORDS + i);
            must_write(fd, record, words * sizeof *record);
            if (fsync(fd) < 0)
                die("fsync");
            printf("record %u\n", number);
            fflush(stdout);
        }
        close(fd);
        if (file >= FILES_KEPT) {
            snprintf(name, sizeof name, "%08u", file - FILES_KEPT);
            if (unlink(name) < 0 && access(name, F_OK) == 0)
                die("unlink");
        }
    }
}
