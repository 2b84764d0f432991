/*
 * A journal that outlives the machine: each boot adds an entry, synced before the next, and reads what earlier boots
 * wrote. The disk is mounted here, so that it needs no option at boot: build it with --disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(const char *what)
{
	printf("journal: %s: %s\n", what, strerror(errno));
	return 1;
}

int main(int count, char **words)
{
	char line[256];
	int boots = 0;

	mkdir("/disk", 0755);
	if (mount("/dev/vda", "/disk", "ext2", 0, NULL))
		return fail("the first disk, expected to hold ext2");
	FILE *journal = fopen("/disk/journal", "a+");
	if (!journal)
		return fail("/disk/journal");
	rewind(journal);
	for (; fgets(line, sizeof(line), journal); boots++)
		printf("earlier: %s", line);
	fprintf(journal, "boot %d", boots + 1);
	for (int i = 1; i < count; i++)
		fprintf(journal, " %s", words[i]);
	fprintf(journal, "\n");
	if (fflush(journal) || fsync(fileno(journal)) || fclose(journal))
		return fail("/disk/journal");
	printf("written: boot %d\n", boots + 1);
	return umount("/disk") ? fail("/disk") : 0;
}
