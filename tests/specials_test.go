package tests

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// special is the reasoned handling of a command in the differential run. No
// command is left out: what cannot run freely runs with restrained arguments,
// on its own connection, or is compared by less than equality.
type special struct {
	why     string
	args    func(g *generator, s *subject, args []string) []string
	compare comparison
	alone   bool // changes what a connection is: runs on a pair of its own
	weight  int  // how often it is chosen; 0 means ordinary
}

// comparison returns why two replies to a command differ, or "".
type comparison func(args []string, ours, theirs value) string

func exact(_ []string, ours, theirs value) string {
	if equalValues(ours, theirs) {
		return ""
	}
	return "differs"
}

// asSet compares the elements of the outermost aggregate in any order.
func asSet(args []string, ours, theirs value) string {
	if ours.kind == '*' && theirs.kind == '*' {
		ours.items, theirs.items = slices.Clone(ours.items), slices.Clone(theirs.items)
		sortValues(ours.items)
		sortValues(theirs.items)
	}
	return exact(args, ours, theirs)
}

// byShape compares kinds, and the kinds of elements where their number is equal.
// Errors are determined and must be the same.
func byShape(args []string, ours, theirs value) string {
	switch {
	case ours.isError() || theirs.isError():
		return exact(args, ours, theirs)
	case ours.kind != theirs.kind || ours.null != theirs.null:
		return "is of another kind"
	case len(ours.items) != len(theirs.items):
		return ""
	}
	for i := range ours.items {
		if why := byShape(args, ours.items[i], theirs.items[i]); why != "" {
			return "element " + strconv.Itoa(i) + " " + why
		}
	}
	return ""
}

// byKind compares only the outermost kind, and errors.
func byKind(args []string, ours, theirs value) string {
	if ours.isError() || theirs.isError() {
		return exact(args, ours, theirs)
	}
	if ours.kind != theirs.kind || ours.null != theirs.null {
		return "is of another kind"
	}
	return ""
}

// within allows integers to differ by a tolerance (time that passes between
// the two servers).
func within(tolerance float64) comparison {
	return func(args []string, ours, theirs value) string {
		a, err1 := strconv.ParseFloat(ours.text, 64)
		b, err2 := strconv.ParseFloat(theirs.text, 64)
		if ours.kind == ':' && theirs.kind == ':' && err1 == nil && err2 == nil && a >= 0 && b >= 0 {
			if math.Abs(a-b) <= tolerance {
				return ""
			}
		}
		return exact(args, ours, theirs)
	}
}

func fixedArgs(choices ...string) func(*generator, *subject, []string) []string {
	return func(g *generator, s *subject, _ []string) []string {
		rest := strings.Fields(pick(g, choices))
		return append(slices.Clone(s.words), rest...)
	}
}

// rarely is the weight of what would otherwise empty the key space all the time.
const (
	ordinary = 40
	rarely   = 2
)

// specialHandling is built by a function, as generators appear in it.
func specialHandling() map[string]special {
	all := ownSpecials()
	maps.Copy(all, zsetSpecials())
	maps.Copy(all, dumpSpecials())
	return all
}

func ownSpecials() map[string]special {
	return map[string]special{
		"flushall":    {why: "would leave nothing to compare", weight: rarely},
		"flushdb":     {why: "would leave nothing to compare", weight: rarely},
		"swapdb":      {why: "hides the keys in use", weight: rarely},
		"select":      {why: "hides the keys in use; each batch ends with SELECT 0", weight: rarely},
		"keys":        {why: "order is the hash table's", compare: asSet},
		"scan":        {why: "cursors are the server's own; contents are compared by whole scans", compare: compareScan, args: scanArgs},
		"randomkey":   {why: "random", compare: byKind},
		"spop":        {why: "which members go is random, unless all go", args: popAll, compare: asSet},
		"hscan":       {why: "as sscan; NOVALUES is newer than 7.0", compare: compareMemberScan, args: valueScanArgs},
		"hrandfield":  {why: "random; billions of fields would stall the reference", args: fewRandom, compare: byShape},
		"srandmember": {why: "as hrandfield", args: fewRandom, compare: byShape},
		"sscan":       {why: "cursors are the server's own; contents are compared by whole scans", compare: compareMemberScan, args: memberScanArgs},
		"ttl":         {why: "time passes", compare: within(2)},
		"expire":      {why: "GT and LT compare with a time set by another clock", compare: unlessCompared}, "pexpire": {why: "as expire", compare: unlessCompared},
		"pttl":       {why: "time passes", compare: within(2000)},
		"expiretime": {why: "relative expiry starts at each server's now", compare: within(2)}, "pexpiretime": {why: "as expiretime", compare: within(2000)},
		"dbsize":          {why: "counts keys past their time until they are found", compare: byShape},
		"time":            {why: "time passes", compare: byShape},
		"object|idletime": {why: "small integers are shared in Redis, and their access time with them", compare: byShape},
		"object|freq":     {why: "needs an LFU policy; the error is the same", compare: byShape},
		"object|refcount": {why: "small integers are shared in Redis", compare: byShape},
		"object|encoding": {why: "short lists and sets are listpacks since 7.2", compare: compareEncoding},
		"memory|usage":    {why: "another memory layout", compare: byShape},
		"memory|stats":    {why: "another memory layout", compare: byKind}, "memory|doctor": {why: "as memory|stats", compare: byKind},
		"memory|malloc-stats": {why: "another allocator", compare: byKind},
		"info":                {why: "facts about each server", compare: byKind},
		"lolwut":              {why: "version and art are our own", args: fixedArgs("", "VERSION", "VERSION x"), compare: byKind},
		"role":                {why: "replication offset", compare: byShape},
		"command":             {why: "the newer commands of Redis are not all there", compare: byKind, weight: 1},
		"command|docs":        {why: "as command", compare: byKind, weight: 1}, "command|list": {why: "as command", compare: byKind, weight: 1},
		"command|count":           {why: "as command", compare: byKind, weight: 1},
		"command|info":            {why: "facts changed between 7.0 and 7.2; checked against the published facts instead", compare: byKind, weight: 1},
		"command|getkeys":         {why: "names commands", args: getkeysArgs},
		"command|getkeysandflags": {why: "names commands", args: getkeysArgs, compare: byKeys},
		"config|get":              {why: "another set of options", args: fixedArgs("maxmemory-policy", "timeout", "nothing", "save", "appendonly", "time[o]ut", ""), compare: exact},
		"config|set":              {why: "options that change the run are left alone", args: fixedArgs("maxmemory-samples 7", "maxmemory-samples abc", "nothing 1", "slowlog-max-len 128 slowlog-max-len 129", "timeout -1", "databases 3", "maxmemory-samples"), compare: exact},
		"config|resetstat":        {why: "harmless"},
		"config|rewrite":          {why: "no configuration file", compare: exact},
		"slowlog|get":             {why: "what was slow differs", compare: byKind},
		"slowlog|len":             {why: "what was slow differs", compare: byKind},
		"latency|latest":          {why: "what was slow differs", compare: byKind},
		"latency|history":         {why: "what was slow differs", compare: byKind},
		"latency|histogram":       {why: "times", compare: byKind},
		"latency|doctor":          {why: "texts are our own", compare: byKind},
		"latency|graph":           {why: "what was slow differs", compare: byKind},
		"latency|reset":           {why: "what was slow differs", compare: byKind},
		"client|id":               {why: "numbered by each server", compare: byShape},
		"client|info":             {why: "facts about each server", compare: byKind},
		"client|list":             {why: "facts about each server", compare: byKind},
		"client|kill":             {why: "must not hit the run's own connections", args: fixedArgs("ID 999999999", "1.2.3.4:5", "ADDR 1.2.3.4:5", "ID abc", "ID 0", "TYPE nothing", "USER nobody", "ID 999999999 SKIPME no", "SKIPME maybe", "ID", "", "a b c", "LADDR 9.9.9.9:1")},
		"client|unblock":          {why: "must not hit the run's own connections", args: fixedArgs("999999999", "abc", "999999999 ERROR", "999999999 TIMEOUT", "999999999 FOO", "")},
		"client|pause":            {why: "a long one would hang the run", args: fixedArgs("1", "0", "1 WRITE", "1 ALL", "-1", "abc", "1 FOO", "")},
		"client|reply":            {why: "OFF and SKIP leave no reply to compare: see the scripts", args: fixedArgs("ON", "FOO", "")},
		"client|no-evict":         {why: "harmless", args: fixedArgs("ON", "OFF", "FOO", "")},
		"client|no-touch":         {why: "newer than 7.0", compare: byKind},
		"client|setinfo":          {why: "newer than 7.0", compare: byKind},
		"client|traceparent":      {why: "our own"},
		"client|tracking": {why: "stays with the connection; must not name the run's own connections", alone: true, args: fixedArgs("ON", "on", "OFF", "ON BCAST",
			"ON BCAST PREFIX a PREFIX b", "ON BCAST PREFIX a PREFIX ab", "ON PREFIX a", "ON OPTIN", "ON OPTOUT", "ON OPTIN OPTOUT", "ON OPTIN BCAST", "ON NOLOOP", "ON NOLOOP BCAST",
			"ON REDIRECT 999999999", "ON REDIRECT abc", "ON REDIRECT", "ON REDIRECT -1", "ON REDIRECT 9223372036854775808", "FOO", "ON FOO", "", "OFF OPTIN")},
		"client|caching":        {why: "reads the connection's state", alone: true},
		"client|trackinginfo":   {why: "reads the connection's state", alone: true},
		"client|getredir":       {why: "reads the connection's state", alone: true},
		"client|setname":        {why: "stays with the connection", alone: true},
		"client|getname":        {why: "reads the connection's state", alone: true},
		"hello":                 {why: "changes the connection's protocol; reports versions", args: helloArgs, compare: byShape, alone: true},
		"auth":                  {why: "changes the connection's user", alone: true},
		"quit":                  {why: "ends the connection", alone: true},
		"reset":                 {why: "changes the connection's protocol", alone: true},
		"monitor":               {why: "streams timestamps: see the black-box tests", args: fixedArgs("a", "a b"), alone: true},
		"subscribe":             {why: "changes what the connection may do", alone: true},
		"psubscribe":            {why: "changes what the connection may do", alone: true},
		"ssubscribe":            {why: "changes what the connection may do", alone: true},
		"unsubscribe":           {why: "several replies in the order of a hash table", alone: true, compare: byShape},
		"punsubscribe":          {why: "several replies in the order of a list", alone: true, compare: byShape},
		"sunsubscribe":          {why: "several replies in the order of a hash table", alone: true, compare: byShape},
		"pubsub|channels":       {why: "order is a hash table's", compare: asSet},
		"pubsub|shardchannels":  {why: "order is a hash table's", compare: asSet},
		"shutdown":              {why: "would end the run", args: fixedArgs("ABORT", "FOO", "NOSAVE SAVE", "ABORT NOW", "NOSAVE ABORT")},
		"replicaof":             {why: "no other server to follow", args: fixedArgs("NO ONE", "a", "127.0.0.1 abc", "127.0.0.1 99999999")},
		"slaveof":               {why: "no other server to follow", args: fixedArgs("NO ONE", "a", "127.0.0.1 abc")},
		"wait":                  {why: "a long timeout would hang the run", args: fixedArgs("0 1", "1 1", "0 -1", "abc 1", "1 abc", "-1 1", "0")},
		"debug":                 {why: "only what neither stops nor fills the server", args: debugArgs, compare: byKind, weight: rarely},
		"blpop":                 {why: "must not wait for ever", args: timeoutLast},
		"brpop":                 {why: "must not wait for ever", args: timeoutLast},
		"pfdebug":               {why: "names subcommands", args: fixedArgs("GETREG a", "GETREG g", "DECODE b", "DECODE a", "ENCODING c", "encoding g", "TODENSE d", "FOO a", "", "DECODE")},
		"pfselftest":            {why: "takes the reference a second", args: fixedArgs("x", "x y", "x", "x", ""), weight: 1},
		"pfadd":                 {why: "PFADD to a corrupt HyperLogLog, which BITOP makes, adds nothing here", args: oneElement},
		"bitop":                 {why: "operations newer than 7.0 would change the data here alone", args: oldBitop},
		"xadd":                  {why: "* makes IDs of each server's clock: see the scripts", args: noClockID},
		"xtrim":                 {why: "what becomes of groups is newer than 7.0", args: noRefs},
		"migrate":               {why: "must not send keys away; is refused in transactions", alone: true, args: fixedArgs("127.0.0.1 1 a 0 10", "127.0.0.1 x b 0 10", "127.0.0.1 1 nokey -1 10", "127.0.0.1 1 a abc 10", "127.0.0.1 1 a 0 abc", "127.0.0.1 1 a 0 10 KEYS a", "127.0.0.1 1 a 0 10 AUTH", "127.0.0.1 1 a 0 10 COPY REPLACE FOO")},
		"sync":                  {why: "would make the connection a replica's", alone: true, args: fixedArgs("x")},
		"psync":                 {why: "as sync", alone: true, args: fixedArgs("", "a")},
		"replconf":              {why: "as sync", alone: true, args: fixedArgs("", "x", "listening-port abc", "nothing 1", "nothing")},
		"qconsume":              {why: "must not wait for ever", args: shortBlock},
		"xread":                 {why: "must not wait for ever", args: shortBlock},
		"xreadgroup":            {why: "must not wait for ever; CLAIM is newer than 7.0", args: freshIDs, compare: exact},
		"xclaim":                {why: "time passes", args: noIdle, compare: exact},
		"xautoclaim":            {why: "time passes", args: noIdle, compare: exact},
		"xpending":              {why: "idle times pass", args: noIdle, compare: comparePending},
		"xgroup|createconsumer": {why: "7.2 creates consumers that read or claim nothing", compare: byShape},
		"xinfo|stream":          {why: "radix tree numbers are Redis' own", compare: compareStreamInfo},
		"xinfo|groups":          {why: "7.2 creates consumers that read or claim nothing, and counts better around deleted entries", compare: compareGroups},
		"xinfo|consumers":       {why: "as xinfo|groups; times pass", compare: compareConsumers},
		"save":                  {why: "whether a child is saving depends on time", args: fixedArgs("x")},
		"bgsave":                {why: "as save", args: fixedArgs("FOO", "SCHEDULE x", "x y")},
		"bgrewriteaof":          {why: "as save", args: fixedArgs("x")},
		"lastsave":              {why: "time of each server", compare: byShape},
		"module|list":           {why: "harmless"},
		"cl.throttle":           {why: "not in a Redis without modules: must change nothing", args: fixedArgs("", "s x 1 1", "l 1 0 1", "s 5 1 10 0", "nosuch 1 1 1 0", "n 1 1 9223372036854775807")},
	}
}

// comparisonFor joins a command's special handling and its tips.
func comparisonFor(s *subject) comparison {
	if s == nil {
		return exact
	}
	if s.special.compare != nil {
		return s.special.compare
	}
	switch {
	case strings.HasSuffix(s.full, "|help"):
		return byKind // texts are our own
	case s.tips["nondeterministic_output_order"]:
		return asSet
	case s.tips["nondeterministic_output"] && s.full != "xadd" && s.full != "xtrim":
		return byShape // XADD and XTRIM are determined by explicit IDs and exact trimming
	}
	return exact
}

func compareScan(args []string, ours, theirs value) string {
	if ours.isError() || theirs.isError() || len(ours.items) != 2 || len(theirs.items) != 2 {
		return exact(args, ours, theirs)
	}
	if ours.items[0].text == "0" && theirs.items[0].text == "0" && args[1] == "0" {
		return asSet(args, ours.items[1], theirs.items[1])
	}
	return byKind(args, ours, theirs)
}

// scanArgs makes most scans whole ones, which can be compared.
func scanArgs(g *generator, s *subject, args []string) []string {
	if g.chance(70) {
		args = append(args, "COUNT", "100000")
	}
	return args
}

// popAll makes a member or two that are drawn by chance all that there are.
func popAll(g *generator, _ *subject, args []string) []string {
	switch {
	case len(args) < 2:
	case len(args) == 2 || !g.chance(20):
		return append(args[:2:2], pick(g, []string{"100000", "9223372036854775807", "0", "-1"}))
	case args[2] > "0" && args[2] <= "9999":
		args[2] = "100000"
	}
	return args
}

// compareMemberScan is compareScan for commands whose cursor is behind a key.
func compareMemberScan(args []string, ours, theirs value) string {
	if len(args) > 2 {
		return compareScan(args[1:], ours, theirs)
	}
	return exact(args, ours, theirs)
}

func memberScanArgs(g *generator, s *subject, args []string) []string {
	if len(args) > 2 && g.chance(70) {
		args[2] = "0"
		return append(args, "COUNT", "100000")
	}
	return args
}

// valueScanArgs is memberScanArgs without NOVALUES.
func valueScanArgs(g *generator, s *subject, args []string) []string {
	return memberScanArgs(g, s, slices.DeleteFunc(args, func(a string) bool { return strings.EqualFold(a, "NOVALUES") }))
}

// fewRandom takes back a count that asks for more than a server can say.
func fewRandom(_ *generator, _ *subject, args []string) []string {
	if len(args) > 2 {
		if n, err := strconv.ParseInt(args[2], 10, 64); err == nil && n < -10_000 && n > math.MinInt64 {
			args[2] = "-7"
		}
	}
	return args
}

func compareEncoding(args []string, ours, theirs value) string {
	if ours.kind == '$' && ours.text == "listpack" && (theirs.text == "quicklist" || theirs.text == "hashtable") {
		return ""
	}
	return exact(args, ours, theirs)
}

// byKeys compares the keys of COMMAND GETKEYSANDFLAGS; flags changed in 7.2.
func byKeys(args []string, ours, theirs value) string {
	strip := func(v value) value {
		v.items = slices.Clone(v.items)
		for i, item := range v.items {
			if len(item.items) == 2 {
				v.items[i] = item.items[0]
			}
		}
		return v
	}
	return exact(args, strip(ours), strip(theirs))
}

var streamInfoOwn = map[string]bool{"radix-tree-keys": true, "radix-tree-nodes": true}

func compareStreamInfo(args []string, ours, theirs value) string {
	strip := func(v value) value {
		v.items = slices.Clone(v.items)
		for i := 0; i+1 < len(v.items); i += 2 {
			switch name := v.items[i].text; {
			case streamInfoOwn[name]:
				v.items[i+1] = value{kind: ':', text: "0"}
			case name == "groups" && v.items[i+1].kind == '*':
				v.items[i+1] = stripGroups(v.items[i+1])
			}
		}
		return v
	}
	return exact(args, strip(ours), strip(theirs))
}

// compareGroups leaves out what 7.2 changed.
func compareGroups(args []string, ours, theirs value) string {
	return exact(args, stripGroups(ours), stripGroups(theirs))
}

// stripGroups takes out what 7.2 counts otherwise, and times.
func stripGroups(groups value) value {
	return stripPairs(groups, func(name string, v value) value {
		switch {
		case name == "lag", name == "entries-read", name == "consumers" && v.kind == ':':
			return value{kind: ':'}
		case name == "pending" && v.kind == '*':
			return stripTimes(v)
		case name == "consumers":
			return stripConsumers(v)
		}
		return v
	})
}

func compareConsumers(args []string, ours, theirs value) string {
	return exact(args, stripConsumers(ours), stripConsumers(theirs))
}

// stripConsumers takes out times, and consumers for which nothing is pending.
func stripConsumers(v value) value {
	v = stripPairs(v, func(name string, v value) value {
		switch name {
		case "idle", "inactive", "seen-time", "active-time":
			return value{}
		case "pending":
			return stripTimes(v)
		}
		return v
	})
	v.items = slices.DeleteFunc(v.items, func(c value) bool {
		for i := 0; i+1 < len(c.items); i += 2 {
			n := c.items[i+1]
			if c.items[i].text == "pending" && (n.kind == ':' && n.text == "0" || n.kind == '*' && len(n.items) == 0) {
				return true
			}
		}
		return false
	})
	return v
}

// stripPairs rewrites the values of maps in an array; zero ones go.
func stripPairs(list value, rewrite func(name string, v value) value) value {
	list.items = slices.Clone(list.items)
	for k, item := range list.items {
		var pairs []value
		for i := 0; i+1 < len(item.items); i += 2 {
			if v := rewrite(item.items[i].text, item.items[i+1]); v.kind != 0 {
				pairs = append(pairs, item.items[i], v)
			}
		}
		list.items[k].items = pairs
	}
	return list
}

// stripTimes takes the time out of pending entries: the last but one of each.
func stripTimes(list value) value {
	list.items = slices.Clone(list.items)
	for k, item := range list.items {
		if n := len(item.items); n >= 3 {
			list.items[k].items = append(slices.Clone(item.items[:n-2]), item.items[n-1])
		}
	}
	return list
}

func comparePending(args []string, ours, theirs value) string {
	if len(args) > 3 {
		ours, theirs = stripTimes(ours), stripTimes(theirs)
	}
	return exact(args, ours, theirs)
}

// noIdle replaces times that some entries could pass on one server alone.
func noIdle(g *generator, _ *subject, args []string) []string {
	if len(args) > 4 && (strings.EqualFold(args[3], "IDLE") || !strings.EqualFold(args[0], "XPENDING")) {
		args[4] = pick(g, []string{"0", "0", "0", "0", "0", "0", "0", "-1", "100000000", "9223372036854775807", "-9223372036854775808", "abc", "", "+1", "9223372036854775808"})
	}
	if strings.EqualFold(args[0], "XCLAIM") && len(args) > 5 && g.chance(50) {
		args = append(args[:5:5], pick(g, []string{"0-1", "1-1", "1-2", "2-0", "5-3"}), pick(g, []string{"5-0", "1-1", "7"}), pick(g, []string{"FORCE", "JUSTID", "LASTID"}))
	}
	for i := 5; i < len(args)-1; i++ { // what idle time is set decides over later claims
		if strings.EqualFold(args[i], "IDLE") || strings.EqualFold(args[i], "TIME") {
			args[i+1] = pick(g, []string{"0", "-1", "abc", "1", "9223372036854775807", "9223372036854775808"})
		}
	}
	return args
}

// noRefs takes out KEEPREF, DELREF and ACKED of Redis 8.2.
func noRefs(_ *generator, _ *subject, args []string) []string {
	return slices.DeleteFunc(args, func(a string) bool {
		a = strings.ToUpper(a)
		return a == "KEEPREF" || a == "DELREF" || a == "ACKED"
	})
}

// unlessCompared is exact but for GT and LT: whether the same relative expiry,
// set twice, is later than itself depends on when each server read its clock.
func unlessCompared(args []string, ours, theirs value) string {
	if last := strings.ToUpper(args[len(args)-1]); last == "GT" || last == "LT" {
		return byShape(args, ours, theirs)
	}
	return exact(args, ours, theirs)
}

func getkeysArgs(g *generator, s *subject, args []string) []string {
	inner, _ := g.next()
	if len(inner) == 1 || g.chance(5) { // commands of one word are refused before 7.2, and spoil a transaction
		return slices.Clone(s.words)
	}
	return append(slices.Clone(s.words), inner...)
}

func helloArgs(g *generator, s *subject, _ []string) []string {
	return append(slices.Clone(s.words), strings.Fields(pick(g, []string{
		"", "2", "3", "4", "abc", "3 SETNAME x", "3 FOO", "2 AUTH default x", "3 AUTH nobody x", "3 AUTH default", "-1", "9223372036854775808", "3 SETNAME",
	}))...)
}

func debugArgs(g *generator, s *subject, _ []string) []string {
	return append([]string{"DEBUG"}, strings.Fields(pick(g, []string{
		"SLEEP 0", "OBJECT a", "OBJECT nokey", "SET-ACTIVE-EXPIRE 1", "DIGEST", "DIGEST-VALUE a b", "FOO", "SLEEP", "JMAP", "OBJECT",
	}))...)
}

func timeoutLast(g *generator, s *subject, args []string) []string {
	if len(args) < 3 {
		return args
	}
	args[len(args)-1] = pick(g, []string{"0.001", "0.002", "-1", "abc", "nan", "", "-0.1", "0.0015"})
	return args
}

func oneElement(_ *generator, _ *subject, args []string) []string { return args[:min(len(args), 3)] }

func oldBitop(g *generator, _ *subject, args []string) []string {
	if len(args) > 1 {
		args[1] = pick(g, []string{"AND", "OR", "XOR", "NOT", "not", "NAND", ""})
	}
	return args
}

func noClockID(g *generator, s *subject, args []string) []string {
	args = noRefs(g, s, args)
	for i := 2; i < len(args); i++ {
		if args[i] == "*" {
			args[i] = pick(g, idPool)
		}
	}
	return args
}

// freshIDs asks for entries that nobody has read, more often than not.
func freshIDs(g *generator, s *subject, args []string) []string {
	args = shortBlock(g, s, args)
	at := slices.IndexFunc(args, func(a string) bool { return strings.EqualFold(a, "STREAMS") })
	for i := at + 1 + (len(args)-at)/2; at > 0 && i < len(args); i++ {
		if g.chance(70) {
			args[i] = ">"
		}
	}
	return args
}

// shortBlock makes BLOCK a few milliseconds or an error.
func shortBlock(g *generator, _ *subject, args []string) []string {
	for i := len(args) - 2; i > 0; i-- {
		switch {
		case strings.EqualFold(args[i], "BLOCK"):
			args[i+1] = pick(g, []string{"1", "2", "-1", "abc"})
		case strings.EqualFold(args[i], "CLAIM"):
			args = slices.Delete(args, i, i+2)
		}
	}
	return args
}
