package command

import "bytes"

// Glob tells whether s matches a glob-style pattern as KEYS and PSUBSCRIBE
// read it (https://redis.io/commands/keys): * any bytes, ? one byte,
// [ab] [a-z] [^a] one byte of a set, \x the byte x itself. As in Redis an
// empty s matches only an empty pattern: callers treat "*" themselves.
func Glob(pattern, s []byte) bool {
	ok, _ := globMatch(pattern, s, false)
	return ok
}

// GlobFold is Glob ignoring ASCII case.
func GlobFold(pattern, s []byte) bool {
	ok, _ := globMatch(pattern, s, true)
	return ok
}

// globMatch also counts its steps, at most about len(pattern) × len(s): only
// the last star is ever tried again, because whatever an earlier star could
// give up the last one can take.
func globMatch(p, s []byte, fold bool) (ok bool, steps int) {
	if len(s) == 0 {
		return len(p) == 0, 0
	}
	pi, si := 0, 0
	star, from := -1, 0 // behind the last star, and where its rest is tried
	for si < len(s) {
		steps++
		if pi < len(p) && p[pi] == '*' {
			for pi < len(p) && p[pi] == '*' {
				pi++
			}
			if pi == len(p) {
				return true, steps
			}
			star, from = pi, si
			if from, ok = globSkip(p[star], s, from, fold); !ok {
				return false, steps
			}
			si = from
			continue
		}
		if pi < len(p) {
			if n, hit := globOne(p[pi:], s[si], fold); hit {
				pi, si = pi+n, si+1
				continue
			}
		}
		if star < 0 {
			return false, steps
		}
		if from, ok = globSkip(p[star], s, from+1, fold); !ok {
			return false, steps
		}
		pi, si = star, from
	}
	for pi < len(p) && p[pi] == '*' {
		pi++
	}
	return pi == len(p), steps
}

// globSkip jumps to the first place at or after from where a rest that begins
// with the pattern byte c can match; false if there is none.
func globSkip(c byte, s []byte, from int, fold bool) (int, bool) {
	if c == '?' || c == '[' || c == '\\' || fold {
		return from, from < len(s)
	}
	i := bytes.IndexByte(s[from:], c)
	return from + i, i >= 0
}

// globOne matches c against the first element of p, which is not a star, and
// returns the element's length.
func globOne(p []byte, c byte, fold bool) (n int, hit bool) {
	switch p[0] {
	case '?':
		return 1, true
	case '[':
		return globSet(p, c, fold)
	case '\\':
		if len(p) >= 2 {
			return 2, globSame(p[1], c, fold)
		}
	}
	return 1, globSame(p[0], c, fold)
}

func globSame(a, b byte, fold bool) bool {
	return a == b || fold && lower(a) == lower(b)
}

// globSet matches c against the set at the start of p. Redis' oddities are
// kept: a set without its ] ends with the pattern, the end of a range may be
// ], bytes over 127 are negative in ranges, and an escaped byte never folds.
func globSet(p []byte, c byte, fold bool) (n int, hit bool) {
	i := 1
	not := i < len(p) && p[i] == '^'
	if not {
		i++
	}
	for i < len(p) && p[i] != ']' {
		left := len(p) - i
		switch {
		case p[i] == '\\' && left >= 2:
			hit = hit || p[i+1] == c
			i += 2
		case left >= 3 && p[i+1] == '-':
			hit = hit || globRange(p[i], p[i+2], c, fold)
			i += 3
		default:
			hit = hit || globSame(p[i], c, fold)
			i++
		}
	}
	return min(i+1, len(p)), hit != not
}

func globRange(from, to, c byte, fold bool) bool {
	if int8(from) > int8(to) {
		from, to = to, from
	}
	if fold {
		from, to, c = lower(from), lower(to), lower(c)
	}
	return int8(from) <= int8(c) && int8(c) <= int8(to)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}
