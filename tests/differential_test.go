package tests

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	flagSeed     = flag.Uint64("seed", 0, "seed of the differential run (0 takes one from the clock) and of TestQueueChaos")
	flagCommands = flag.Int("commands", 200_000, "commands of the differential run")
	flagOnly     = flag.String("only", "", "differential run: only commands whose name contains one of these comma-separated words")
	flagWithout  = flag.String("without", "", "differential run: no command whose name contains one of these")
)

// TestDifferential sends the same random commands to our server and to a
// redis-server and compares what they say, and every thousand commands what
// they hold.
func TestDifferential(t *testing.T) {
	needProgram(t, "redis-server")
	ours := startSynapRealTime(t, *flagDoor, nil)
	subjects := slices.DeleteFunc(differentialSubjects(t, ours.inside), func(s subject) bool {
		return *flagOnly != "" && !named(s.full, *flagOnly) || *flagWithout != "" && named(s.full, *flagWithout)
	})
	theirs := startRedis(t, [][2]string{{"hz", "500"}}) // time-outs are looked at hz times a second
	noStaleHandling(t, subjects)
	markNewer(t, theirs, subjects)
	seed := *flagSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", seed)
	count := *flagCommands
	if testing.Short() {
		count /= 10
	}
	d := newDuel(t, newGenerator(seed, subjects), ours, theirs)
	d.run(count)
	t.Logf("%d requests of %d commands compared; %d differences; only errors from %q",
		d.done, len(subjects), d.found, d.neverAnswered())
}

// noStaleHandling demands that special handling is of commands that exist.
func noStaleHandling(t *testing.T, subjects []subject) {
	if *flagOnly != "" || *flagWithout != "" {
		return
	}
	known := map[string]bool{}
	for _, s := range subjects {
		known[s.full] = true
	}
	for name, s := range specialHandling() {
		if !known[name] || s.why == "" {
			t.Errorf("specials_test.go: %q is no command, or its handling has no reason", name)
		}
	}
}

// markNewer gives the commands that the reference does not know connections of
// their own: in a transaction they would spoil it there.
func markNewer(t *testing.T, reference *target, subjects []subject) {
	c, err := dial(reference.network, reference.addr, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	for i := range subjects {
		v, err := c.do("COMMAND", "INFO", subjects[i].full)
		if err != nil || len(v.items) != 1 {
			t.Fatal(err, v.render())
		}
		subjects[i].special.alone = v.items[0].null
	}
}

// named says whether a command's name contains one of the words.
func named(full, words string) bool {
	return slices.ContainsFunc(strings.Split(words, ","), func(w string) bool { return strings.Contains(full, w) })
}

func newGenerator(seed uint64, subjects []subject) *generator {
	g := &generator{rnd: rand.New(rand.NewPCG(seed, 1)), subjects: subjects}
	handling := specialHandling()
	for i := range subjects {
		s := &subjects[i]
		newer := s.special.alone
		s.special = handling[s.full]
		s.special.alone = s.special.alone || newer
		weight := ordinary
		switch {
		case s.special.weight > 0:
			weight = s.special.weight
		case newer:
			weight = rarely // the data differ from then on
		case s.special.alone || s.special.compare != nil:
			weight = ordinary / 4
		}
		for range weight {
			g.weighted = append(g.weighted, i)
		}
	}
	return g
}

// request is one command of the run, kept for the reproduction.
type request struct {
	args    []string
	subject *subject
	raw     []byte
	proto   int
	alone   int // number of the connection of its own that it runs on; 0: the common one
}

// duel runs commands against two servers.
type duel struct {
	t            *testing.T
	g            *generator
	ours, theirs *target
	pairs        map[int]*pair // by protocol
	epoch        []request     // since both were emptied
	done, found  int
	seen         map[string]bool
	answered     map[string]int // by command: replies that are not errors
	marker       int
	last         []request // the batch last sent
	lone         int       // connections of their own made so far
	parted       bool      // a deliberate difference may have made the data differ
}

// pair is a connection to each server in the same state.
type pair struct{ ours, theirs *client }

func newDuel(t *testing.T, g *generator, ours, theirs *target) *duel {
	return &duel{t: t, g: g, ours: ours, theirs: theirs, pairs: map[int]*pair{}, seen: map[string]bool{}, answered: map[string]int{}}
}

func (d *duel) connect(proto int) *pair {
	p := &pair{}
	var err1, err2 error
	p.ours, err1 = dial(d.ours.network, d.ours.addr, proto)
	p.theirs, err2 = dial(d.theirs.network, d.theirs.addr, proto)
	if err := errors.Join(err1, err2); err != nil {
		d.t.Fatal(err)
	}
	return p
}

func (p *pair) close() { p.ours.close(); p.theirs.close() }

const (
	epochLength    = 1000 // commands between two comparisons of the state
	maxDifferences = 12   // different ones, after which the run ends
)

func (d *duel) run(count int) {
	d.empty()
	for d.done < count && d.found < maxDifferences {
		proto := 2 + d.g.rnd.IntN(2)
		batch := d.batch(proto)
		alone := batch[0].subject != nil && batch[0].subject.special.alone
		if fault := d.play(batch, proto, alone); fault != nil {
			fault.batch = batch
			d.report(fault)
			d.empty()
			continue
		}
		d.done += len(batch)
		if d.parted {
			d.empty()
			continue
		}
		d.epoch = append(d.epoch, batch...)
		if len(d.epoch) >= epochLength {
			if fault := d.compareState(); fault != nil {
				d.report(fault)
			}
			d.empty()
		}
	}
}

// batch makes requests for one connection: a short one of a command that must
// be alone, or a longer one of all others, part of it in a transaction.
func (d *duel) batch(proto int) []request {
	var batch []request
	add := func(args []string, s *subject) {
		batch = append(batch, request{args: args, subject: s, raw: d.g.encode(nil, args), proto: proto})
	}
	args, s := d.g.next()
	add(args, s)
	alone := s != nil && s.special.alone
	size := 1 + d.g.rnd.IntN(60)
	if alone {
		size = 1 + d.g.rnd.IntN(4)
		d.lone++
		batch[0].alone = d.lone
	}
	for len(batch) < size {
		args, s := d.g.next()
		if s != nil && (s.special.alone && !alone || alone && s.full == "multi") {
			continue
		}
		add(args, s)
		batch[len(batch)-1].alone = batch[0].alone
	}
	return batch
}

// fault is the first difference of a batch.
type fault struct {
	req          request
	ours, theirs string
	why          string
	batch        []request
}

// play sends a batch over a pair of connections and compares the replies. A
// lone batch goes one command at a time over new connections, as commands of
// pub/sub have any number of replies.
func (d *duel) play(batch []request, proto int, alone bool) *fault {
	if alone {
		p := d.connect(proto)
		defer p.close()
		for i := range batch {
			if f := d.exchange(p, batch[i:i+1], false); f != nil {
				if f.why == "closed" {
					return nil
				}
				return f
			}
		}
		d.unsubscribe(p)
		return nil
	}
	p := d.pairs[proto]
	if p == nil {
		p = d.connect(proto)
		d.pairs[proto] = p
	}
	f := d.exchange(p, batch, true)
	if f != nil {
		p.close()
		delete(d.pairs, proto)
		if f.why == "closed" {
			return nil
		}
	}
	return f
}

// unsubscribe makes sure that neither server counts the subscriptions of a
// connection that is about to be closed.
func (d *duel) unsubscribe(p *pair) {
	d.marker++
	mark := fmt.Sprintf("mark-%d", d.marker)
	var raw []byte
	for _, args := range [][]string{{"UNSUBSCRIBE"}, {"PUNSUBSCRIBE"}, {"SUNSUBSCRIBE"}, {"PING", mark}} {
		raw = appendCommand(raw, args)
	}
	collect(p.ours, raw, mark)
	collect(p.theirs, raw, mark)
}

// exchange sends requests and an end mark to both servers and compares what
// comes before the mark. restore brings the connection back to database 0
// outside of a transaction first.
func (d *duel) exchange(p *pair, batch []request, restore bool) *fault {
	d.marker++
	d.last = batch
	mark := fmt.Sprintf("mark-%d", d.marker)
	var raw []byte
	for _, r := range batch {
		raw = append(raw, r.raw...)
	}
	if restore {
		raw = appendCommand(raw, []string{"DISCARD"})
		raw = appendCommand(raw, []string{"SELECT", "0"})
	}
	raw = appendCommand(raw, []string{"PING", mark})
	ours, err1 := collect(p.ours, raw, mark)
	theirs, err2 := collect(p.theirs, raw, mark)
	d.count(batch, theirs)
	f := d.compareBatch(batch, ours, theirs, restore)
	switch {
	case f != nil:
		return f
	case err2 != nil:
		last := batch[len(batch)-1]
		if closedByPeer(err1) && closedByPeer(err2) {
			return &fault{why: "closed", req: last}
		}
		return &fault{req: last, why: "the reference failed", ours: fmt.Sprint(err1), theirs: fmt.Sprint(err2)}
	case err1 != nil:
		return &fault{req: batch[min(len(ours), len(batch)-1)], why: "no sane reply", ours: err1.Error(), theirs: "answered"}
	}
	return nil
}

// count notes which commands get more than errors, so that a grammar that only
// makes nonsense is seen.
func (d *duel) count(batch []request, theirs []value) {
	for i, r := range batch {
		if i < len(theirs) && r.subject != nil && !theirs[i].isError() && theirs[i].text != "QUEUED" {
			d.answered[r.subject.full]++
		}
	}
}

// neverAnswered names the commands that only got errors.
func (d *duel) neverAnswered() []string {
	var names []string
	for _, s := range d.g.subjects {
		if d.answered[s.full] == 0 {
			names = append(names, s.full)
		}
	}
	return names
}

func collect(c *client, raw []byte, mark string) ([]value, error) {
	sent := make(chan error, 1)
	go func() { sent <- c.sendRaw(raw) }()
	defer func() { <-sent }()
	var all []value
	for {
		c.conn.SetReadDeadline(time.Now().Add(replyTimeout))
		v, err := readValue(c.in)
		if err != nil {
			c.close() // so that the sender ends
			return all, err
		}
		if v.text == mark || v.kind == '*' && len(v.items) == 2 && v.items[1].text == mark {
			return all, nil
		}
		if v.kind == '>' && len(v.items) > 0 && v.items[0].text == "invalidate" {
			continue // comes when it comes: see the scripts
		}
		all = append(all, v)
	}
}

func (d *duel) compareBatch(batch []request, ours, theirs []value, pipelined bool) *fault {
	if !pipelined {
		return d.compareSeveral(batch[0], ours, theirs)
	}
	var queue []request // commands queued in a transaction
	for i, r := range batch {
		if i >= len(ours) || i >= len(theirs) {
			break
		}
		a, b := ours[i], theirs[i]
		if why := d.compareOne(r, queue, a, b); why != "" {
			return &fault{req: r, ours: a.render(), theirs: b.render(), why: why}
		}
		switch {
		case b.kind == '+' && b.text == "QUEUED":
			queue = append(queue, r)
		case b.isError():
		default:
			queue = nil
		}
	}
	if len(ours) != len(theirs) {
		i := min(len(ours), len(theirs), len(batch)-1)
		return &fault{req: batch[i], why: fmt.Sprintf("%d replies against %d", len(ours), len(theirs)), ours: renderAll(ours, i), theirs: renderAll(theirs, i)}
	}
	return nil
}

func renderAll(vs []value, from int) string {
	if from >= len(vs) {
		return "nothing"
	}
	return vs[from].render()
}

func (d *duel) compareSeveral(r request, ours, theirs []value) *fault {
	if len(ours) != len(theirs) {
		return &fault{req: r, why: fmt.Sprintf("%d replies against %d", len(ours), len(theirs)), ours: renderAll(ours, 0), theirs: renderAll(theirs, 0)}
	}
	if r.subject != nil && strings.HasSuffix(r.subject.full, "publish") {
		sortValues(ours) // to itself: the message stands behind the count since 7.2
		sortValues(theirs)
	}
	for i := range ours {
		if why := d.compareOne(r, nil, ours[i], theirs[i]); why != "" {
			return &fault{req: r, ours: ours[i].render(), theirs: theirs[i].render(), why: why}
		}
	}
	return nil
}

// compareOne compares the replies to one request; an EXEC's element by element
// under the rules of the commands queued.
func (d *duel) compareOne(r request, queue []request, ours, theirs value) string {
	if r.subject == nil || theirs.kind == '+' && theirs.text == "QUEUED" {
		return exact(r.args, ours, theirs)
	}
	if r.subject.full == "exec" && theirs.kind == '*' && !theirs.null && len(queue) == len(theirs.items) {
		if ours.kind != '*' || len(ours.items) != len(theirs.items) {
			return "differs"
		}
		for i, q := range queue {
			if why := d.compareOne(q, nil, ours.items[i], theirs.items[i]); why != "" {
				return fmt.Sprintf("element %d, %q, %s", i, q.args, why)
			}
		}
		return ""
	}
	why := comparisonFor(r.subject)(r.args, ours, theirs)
	if why != "" && deliberate(r.args, ours, theirs) {
		d.parted = d.parted || r.subject.writes
		return ""
	}
	return why
}

// empty brings both servers to the same start.
func (d *duel) empty() {
	d.epoch, d.parted = nil, false
	for _, s := range []*target{d.ours, d.theirs} {
		c, err := dial(s.network, s.addr, 2)
		if err != nil {
			d.t.Fatalf("%s is gone: %v", s.name, err)
		}
		for _, args := range [][]string{{"CLIENT", "UNPAUSE"}, {"FLUSHALL"}} {
			if v, err := c.do(args...); err != nil || v.isError() {
				d.t.Fatalf("%s: %v: %v %s; last requests:\n%s", s.name, args, err, v.render(), lines(d.last))
			}
		}
		c.close()
	}
}

// compareState reads everything both servers hold.
func (d *duel) compareState() *fault {
	ours, theirs := readState(d.t, d.ours), readState(d.t, d.theirs)
	for _, k := range sortedKeys(ours, theirs) {
		if a, b := ours[k], theirs[k]; a.text != b.text || max(a.expires-b.expires, b.expires-a.expires) > clockTolerance {
			return &fault{why: "state of " + k, ours: a.render(), theirs: b.render()}
		}
	}
	return nil
}

// keyState is what a key holds.
type keyState struct {
	text    string // kind and contents
	expires int64  // in milliseconds of Unix time, negative for never
}

func (k keyState) render() string { return fmt.Sprintf("%s expires %d", k.text, k.expires) }

// clockTolerance is by how much the end of a relative expiry, which two servers
// set by two clocks, may differ, in milliseconds.
const clockTolerance = 10_000

func sortedKeys(ms ...map[string]keyState) []string {
	var all []string
	for _, m := range ms {
		for k := range m {
			all = append(all, k)
		}
	}
	sort.Strings(all)
	return slices.Compact(all)
}

// readState describes each key of the databases in use by reading it.
func readState(t testing.TB, s *target) map[string]keyState {
	t.Helper()
	c, err := dial(s.network, s.addr, 2)
	if err != nil {
		t.Fatalf("%s is gone: %v", s.name, err)
	}
	defer c.close()
	all := map[string]keyState{}
	for _, db := range []string{"0", "1", "2", "15"} {
		c.do("SELECT", db)
		keys, err := c.do("KEYS", "*")
		if err != nil {
			t.Fatalf("%s: KEYS: %v", s.name, err)
		}
		for _, k := range keys.items {
			kind, _ := c.do("TYPE", k.text)
			all[fmt.Sprintf("database %s, key %q", db, k.text)] = keyState{kind.text + " " + contents(c, kind.text, k.text), expiry(c, k.text)}
		}
	}
	return all
}

func contents(c *client, kind, key string) string {
	read := map[string][]string{
		"string": {"GET", key}, "list": {"LRANGE", key, "0", "-1"}, "stream": {"XRANGE", key, "-", "+"},
		"set": {"SMEMBERS", key}, "hash": {"HGETALL", key}, "zset": {"ZRANGE", key, "0", "-1", "WITHSCORES"},
	}[kind]
	if read == nil {
		return "unreadable"
	}
	v, err := c.do(read...)
	if err != nil {
		return err.Error()
	}
	switch kind {
	case "zset":
		v = withNumbers(v)
	case "set":
		sortValues(v.items)
	case "hash":
		sort.Stable(pairs(v.items))
	case "stream":
		info, _ := c.do("XINFO", "STREAM", key)
		for i := 0; i+1 < len(info.items); i += 2 {
			if !streamInfoOwn[info.items[i].text] {
				v.items = append(v.items, info.items[i], info.items[i+1])
			}
		}
	}
	return v.render()
}

// expiry is when a key expires, in milliseconds.
func expiry(c *client, key string) int64 {
	v, _ := c.do("PEXPIRETIME", key)
	ms, _ := strconv.ParseInt(v.text, 10, 64)
	return ms
}

// report prints a difference once for each command and manner, with the
// shortest sequence of requests that shows it.
func (d *duel) report(f *fault) {
	for _, p := range d.pairs {
		p.close()
	}
	clear(d.pairs)
	name := "state"
	if f.req.subject != nil {
		name = f.req.subject.full
	} else if len(f.req.args) > 0 {
		name = f.req.args[0]
	}
	key := name + "|" + f.why + "|" + shortened(f.ours, 12) + "|" + shortened(f.theirs, 12)
	if d.seen[key] {
		return
	}
	d.seen[key] = true
	d.found++
	d.t.Errorf("%s %s\n  ours   %s\n  theirs %s\n%s", name, f.why, shortened(f.ours, 400), shortened(f.theirs, 400), d.reproduce(f))
}

func shortened(s string, n int) string {
	if len(s) > n {
		return s[:n] + "…"
	}
	return s
}

// The search for a short reproduction is bounded.
const (
	maxTrials    = 300
	maxTrialTime = time.Minute
)

// reproduce removes requests as long as some difference remains.
func (d *duel) reproduce(f *fault) string {
	requests := append(slices.Clone(d.epoch), f.batch...)
	trials, end := 0, time.Now().Add(maxTrialTime)
	fails := func(rs []request) bool { trials++; return d.differs(rs) }
	if !fails(requests) {
		return "  (not reproduced one command at a time; the request was " + line(f.req) + ", its batch)\n" + lines(f.batch)
	}
	for size := len(requests) / 2; size > 0 && trials < maxTrials && time.Now().Before(end); size /= 2 {
		for at := 0; at+size <= len(requests) && trials < maxTrials && time.Now().Before(end); {
			shorter := slices.Delete(slices.Clone(requests), at, at+size)
			if fails(shorter) {
				requests = shorter
			} else {
				at += size
			}
		}
	}
	return lines(requests)
}

func lines(requests []request) string {
	var b strings.Builder
	for _, r := range requests {
		b.WriteString("    " + line(r) + "\n")
	}
	return b.String()
}

func line(r request) string {
	var words []string
	for _, a := range r.args {
		if a == "" || quote(a) != `"`+a+`"` || strings.ContainsAny(a, " '") {
			a = quote(a)
		}
		words = append(words, shortened(a, 60))
	}
	return fmt.Sprintf("%d> %s", r.proto, strings.Join(words, " "))
}

// differs plays requests one by one on two emptied servers.
func (d *duel) differs(requests []request) bool {
	epoch := d.epoch
	defer func() { d.epoch = epoch }()
	d.empty()
	type line struct{ proto, alone int }
	own := map[line]*pair{}
	defer func() {
		for _, p := range own {
			p.close()
		}
	}()
	queues := map[int][]request{}
	for _, r := range requests {
		l := line{r.proto, r.alone}
		p := own[l]
		if p == nil {
			p = d.connect(r.proto)
			own[l] = p
		}
		r.raw = appendCommand(nil, r.args)
		var f *fault
		if r.alone != 0 {
			f = d.exchange(p, []request{r}, false)
		} else {
			f = d.single(p, r, queues)
		}
		if f == nil {
			continue
		}
		if f.why != "closed" {
			return true
		}
		p.close()
		delete(own, l)
	}
	return d.compareState() != nil
}

// single plays a request that has one reply, which leaves a transaction open.
func (d *duel) single(p *pair, r request, queues map[int][]request) *fault {
	ours, err1 := p.ours.do(r.args...)
	theirs, err2 := p.theirs.do(r.args...)
	if err := errors.Join(err1, err2); err != nil {
		return &fault{req: r, why: err.Error()}
	}
	if ours.kind == 'x' && theirs.kind == 'x' {
		return &fault{req: r, why: "closed"}
	}
	if why := d.compareOne(r, queues[r.proto], ours, theirs); why != "" {
		return &fault{req: r, why: why}
	}
	switch {
	case theirs.text == "QUEUED":
		queues[r.proto] = append(queues[r.proto], r)
	case !theirs.isError():
		queues[r.proto] = nil
	}
	return nil
}
