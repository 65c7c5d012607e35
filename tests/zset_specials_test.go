package tests

import (
	"slices"
	"strconv"
	"strings"
)

// zsetSpecials is the handling of the commands on sorted sets: scores compare
// as numbers, because 7.0 writes 17 digits where 7.2 writes the shortest ones,
// and requests meet a large set (zbig) and one whose scores are equal (zlex).
func zsetSpecials() map[string]special {
	m := map[string]special{
		"zscan":       {why: "cursors are the server's own; contents are compared by whole scans", args: memberScanArgs, compare: compareScoreScan},
		"zrank":       {why: "WITHSCORE is newer than 7.0", args: withoutScore},
		"zrevrank":    {why: "as zrank", args: withoutScore},
		"zrandmember": {why: "random; huge counts would fill the memory", args: zrandmemberArgs, compare: byShape},
		"bzpopmin":    {why: "must not wait for ever; scores", args: timeoutLast, compare: sameScores},
		"bzpopmax":    {why: "must not wait for ever; scores", args: timeoutLast, compare: sameScores},
		"bzmpop":      {why: "scores", compare: sameScores},
	}
	const scores = "scores are written shorter since 7.2"
	for _, name := range strings.Fields("zadd zincrby zscore zmscore zpopmin zpopmax zmpop zunion zinter zdiff zrevrange zrangebyscore zrevrangebyscore zrange") {
		m[name] = special{why: scores, args: zsetArgs, compare: sameScores}
	}
	for _, name := range strings.Fields("zrem zcount zlexcount zrangestore zrangebylex zrevrangebylex zremrangebylex zremrangebyrank zremrangebyscore zunionstore zinterstore zdiffstore zintercard") {
		m[name] = special{why: "meets large sets and sensible ranges", args: zsetArgs}
	}
	return m
}

// sameScores compares texts of numbers by their values.
func sameScores(args []string, ours, theirs value) string {
	return exact(args, withNumbers(ours), withNumbers(theirs))
}

func withNumbers(v value) value {
	if f, err := strconv.ParseFloat(v.text, 64); err == nil && (v.kind == '$' || v.kind == ',') {
		v.text = strconv.FormatFloat(f, 'g', -1, 64)
	}
	v.items = slices.Clone(v.items)
	for i, item := range v.items {
		v.items[i] = withNumbers(item)
	}
	return v
}

// compareScoreScan lets NOSCORES pass, which 7.0 does not know.
func compareScoreScan(args []string, ours, theirs value) string {
	if theirs.isError() && slices.ContainsFunc(args, func(a string) bool { return strings.EqualFold(a, "NOSCORES") }) {
		return ""
	}
	return compareMemberScan(args, withNumbers(ours), withNumbers(theirs))
}

// withoutScore leaves out WITHSCORE, which is a wrong number of arguments to 7.0
// and would abort its transactions.
func withoutScore(g *generator, s *subject, args []string) []string {
	return zsetArgs(g, s, args[:min(len(args), 3)])
}

func zrandmemberArgs(g *generator, _ *subject, args []string) []string {
	if len(args) > 2 && strings.HasPrefix(args[2], "-") && len(args[2]) > 4 {
		args[2] = pick(g, []string{"-9223372036854775808", "-20"})
	}
	return args
}

var (
	lexPool   = []string{"-", "+", "[a", "(a", "[m2", "(m2", "[m300", "(m9", "[", "(", "[\xff", "(z", "", "a", "--", "[hello"}
	scorePool = []string{"-inf", "+inf", "0", "(0", "1", "5", "(5", "2.5", "10", "(20", "(inf", "-3", "100", "1e3", "", "x", "nan", " 1", "0x10", "(", "1e400"}
)

// zsetArgs turns some requests to the large set and to the one of equal scores,
// and gives ranges ends that make sense.
func zsetArgs(g *generator, s *subject, args []string) []string {
	if len(args) < 3 || g.chance(5) {
		return args
	}
	key := 1
	if s.full == "zrangestore" && len(args) > 4 {
		key = 2
	}
	switch {
	case s.full == "zadd":
		return zaddArgs(g, args)
	case strings.HasSuffix(s.full, "lex") || s.full == "zlexcount":
		if len(args) > 3 {
			args[2], args[3] = pick(g, lexPool), pick(g, lexPool)
		}
		args[1] = "zlex"
		return args
	case s.full == "zrange" || s.full == "zrangestore":
		if len(args) < key+3 {
			return args
		}
		args = args[:key+3]
		args[key+1], args[key+2] = g.number(), g.number()
		switch g.rnd.IntN(4) {
		case 0:
			args[key] = "zlex"
			args[key+1], args[key+2] = pick(g, lexPool), pick(g, lexPool)
			args = append(args, "BYLEX")
		case 1, 2:
			args[key+1], args[key+2] = pick(g, scorePool), pick(g, scorePool)
			args = append(args, "BYSCORE")
		}
		return zrangeOptions(g, args)
	case strings.HasSuffix(s.full, "score") && len(args) > 3 || s.full == "zcount":
		args[2], args[min(3, len(args)-1)] = pick(g, scorePool), pick(g, scorePool)
	}
	for i := 1; i < len(args); i++ {
		if g.chance(25) && slices.Contains(keyPool, args[i]) {
			args[i] = "zbig"
		}
	}
	if args[1] == "zbig" && slices.Contains([]string{"zrem", "zscore", "zmscore", "zrank", "zrevrank"}, s.full) {
		args[2] = "m" + strconv.Itoa(g.rnd.IntN(400))
	}
	return args
}

func zrangeOptions(g *generator, args []string) []string {
	for _, o := range [][]string{{"REV"}, {"LIMIT", g.number(), g.number()}, {"WITHSCORES"}} {
		if g.chance(25) {
			args = append(args, o...)
		}
	}
	return args
}

// zaddArgs fills the large set and the one of equal scores.
func zaddArgs(g *generator, args []string) []string {
	n := g.rnd.IntN(40)
	switch g.rnd.IntN(8) {
	case 0:
		args = []string{"zadd", "zlex"}
		for range 1 + n/4 {
			args = append(args, "0", "m"+strconv.Itoa(g.rnd.IntN(400)))
		}
	case 1, 2:
		args = []string{"zadd", "zbig"}
		for range 1 + n {
			args = append(args, strconv.Itoa(g.rnd.IntN(60)-30), "m"+strconv.Itoa(g.rnd.IntN(400)))
		}
	}
	return args
}
