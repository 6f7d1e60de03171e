// SPDX-License-Identifier: GPL-2.0-or-later
/* The process itself, by names that all exporters have; from proc(5). */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "weft/cleanup.h"

#include "agent/daemon/metrics.h"

struct proc_stat {
	unsigned long long utime, stime, start, virtual_bytes;
	long long resident_pages;
};

/* The fields are counted from the end of the name, which may have blanks and parentheses in it. */
static bool parse_stat(const char *line, struct proc_stat *out)
{
	const char *after = strrchr(line, ')');

	return after &&
	       sscanf(after,
	              ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d "
	              "%*d %llu %llu %lld",
	              &out->utime, &out->stime, &out->start, &out->virtual_bytes, &out->resident_pages) == 5;
}

static bool read_stat(struct proc_stat *out)
{
	FILE *f = fopen("/proc/self/stat", "re");
	char line[1024];
	bool good = f && fgets(line, sizeof(line), f) && parse_stat(line, out);

	if (f)
		fclose(f);
	return good;
}

static double boot_time(void)
{
	FILE *f = fopen("/proc/stat", "re");
	unsigned long long seconds = 0;
	weft_autofree char *line = NULL;
	size_t size = 0;

	while (f && getline(&line, &size, f) > 0 && sscanf(line, "btime %llu", &seconds) != 1)
		;
	if (f)
		fclose(f);
	return (double)seconds;
}

static size_t count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	const struct dirent *e;
	size_t n = 0;

	while (dir && (e = readdir(dir)))
		n += e->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return n ? n - 1 : 0; /* without the folder's own */
}

void metrics_write_process(struct metrics_page *p)
{
	double ticks = (double)sysconf(_SC_CLK_TCK);
	struct rlimit fds = {0};
	struct proc_stat s;

	metric(p, METRIC_BUILD_INFO);
	metrics_sample(p, 1, WEFT_VERSION);
	if (read_stat(&s)) {
		metric_single(p, METRIC_CPU, (double)(s.utime + s.stime) / ticks);
		metric_single(p, METRIC_RESIDENT, (double)s.resident_pages * (double)sysconf(_SC_PAGESIZE));
		metric_single(p, METRIC_VIRTUAL, (double)s.virtual_bytes);
		metric_single(p, METRIC_START, boot_time() + (double)s.start / ticks);
	}
	metric_single(p, METRIC_FDS, (double)count_fds());
	getrlimit(RLIMIT_NOFILE, &fds);
	metric_single(p, METRIC_MAX_FDS, (double)fds.rlim_cur);
}
