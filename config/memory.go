package config

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"runtime"
	"strconv"
	"strings"
)

// memoryAllowed returns the bytes this process may use: the tightest memory
// limit of its control groups (v2 or v1), else what the host has; 0 if unknown.
func memoryAllowed() int64 {
	if runtime.GOOS != "linux" {
		return hostMemory()
	}
	return linuxMemory(os.DirFS("/"))
}

func linuxMemory(root fs.FS) int64 {
	allowed := memTotal(root)
	groups, _ := fs.ReadFile(root, "proc/self/cgroup")
	for line := range strings.Lines(string(groups)) {
		// hierarchy:controllers:path, see cgroups(7); v2 has no controllers.
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		dir, file := "sys/fs/cgroup", "memory.max"
		if f[1] != "" {
			if !strings.Contains(","+f[1]+",", ",memory,") {
				continue
			}
			dir, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		}
		// A limit of any ancestor binds, too. In a container the path may be
		// one of the host's; then only the root that is mounted here is found.
		for p := path.Clean("/" + f[2]); ; p = path.Dir(p) {
			if n := limitIn(root, path.Join(dir, p, file)); n > 0 && (allowed == 0 || n < allowed) {
				allowed = n
			}
			if p == "/" {
				break
			}
		}
	}
	return allowed
}

// limitIn reads one limit; "max" and v1's huge number for "none" count as 0 or
// as more than any host has.
func limitIn(root fs.FS, name string) int64 {
	b, err := fs.ReadFile(root, name)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(string(bytes.TrimSpace(b)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func memTotal(root fs.FS) int64 {
	b, _ := fs.ReadFile(root, "proc/meminfo")
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) == 3 && f[0] == "MemTotal:" && f[2] == "kB" {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n << 10
		}
	}
	return 0
}
