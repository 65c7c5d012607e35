package server

import (
	"context"
	"strconv"
	"sync/atomic"
	"time"

	"synap/command"
	"synap/resp"
	"synap/store"
)

// MIGRATE (https://redis.io/commands/migrate) sends keys to another server by
// RESTORE and deletes those that it has taken.
//
// No loop and no lock waits for the network: the session is parked while a
// goroutine talks to the target about one batch of keys (migrate_target.go).
// With the answers the command runs again under the locks of that batch and of
// the next. A key that was changed meanwhile stays: each is watched, as by WATCH.

// A batch ends with the key that reaches one of these, so that what a MIGRATE
// holds is bounded by them and by the largest value.
const (
	migrateBatchBytes = 1 << 20
	migrateBatchKeys  = 1024
)

// defaultMigrateTimeout stands for a time-out that is not positive, as in Redis;
// larger ones than maxMigrateTimeout count as that.
const (
	defaultMigrateTimeout = time.Second
	maxMigrateTimeout     = 1<<31 - 1 // milliseconds
)

const migrateName = "migrate"

func migrateRow() Row {
	flags := command.RW | command.Access | command.Delete
	return Row{Row: command.Row{
		Name: migrateName, Arity: -6, Group: "generic", Since: "2.6.0",
		Usage:      `host port <key | ""> destination-db timeout [COPY] [REPLACE] [AUTH password | AUTH2 username password] [KEYS key [key ...]]`,
		Summary:    "Moves keys to another server.",
		Complexity: "That of DUMP, DEL and RESTORE, and O(N) for the N bytes sent.",
		Flags:      command.Write | command.MovableKeys | command.NoMulti, Categories: []string{"dangerous"},
		Tips: []string{"nondeterministic_output"},
		Keys: []command.KeySpec{
			{Flags: flags, Begin: 3},
			{Flags: flags | command.Incomplete, Keyword: "KEYS", From: -2, Last: -1, Step: 1},
		},
		FindKeys: migrateKeys,
	}, Session: migrate}
}

// migrateKeys finds the keys without checking the other arguments.
func migrateKeys(args [][]byte, dst []command.KeyAt) ([]command.KeyAt, bool) {
	const flags = command.RW | command.Access | command.Delete
	for i := 6; i < len(args); i++ {
		switch {
		case resp.EqualFold(args[i], "AUTH"):
			i++
		case resp.EqualFold(args[i], "AUTH2"):
			i += 2
		case resp.EqualFold(args[i], "KEYS"):
			if len(args[3]) > 0 {
				return dst, false
			}
			for k := i + 1; k < len(args); k++ {
				dst = append(dst, command.KeyAt{Index: k, Flags: flags})
			}
			return dst, true
		}
	}
	return append(dst, command.KeyAt{Index: 3, Flags: flags}), len(args) > 3
}

// hideMigrate hides the password from MONITOR and the slow log.
func hideMigrate(args [][]byte) [][]byte {
	for i := 6; i < len(args); i++ {
		switch {
		case resp.EqualFold(args[i], "AUTH"):
			args = hideArgs(args, i+1, min(i+2, len(args)))
			i++
		case resp.EqualFold(args[i], "AUTH2"):
			args = hideArgs(args, i+1, min(i+3, len(args)))
			i += 2
		case resp.EqualFold(args[i], "KEYS"):
			return args
		}
	}
	return args
}

// migration is a MIGRATE that runs. It belongs to its session's loop.
type migration struct {
	cmd     *command.Command
	args    [][]byte // a copy of the request; the keys alias it
	copy    bool
	replace bool
	keys    [][]byte
	target  target             // its goroutine's while that runs
	cancel  context.CancelFunc // ends the goroutine and closes the connection
	since   int64              // Monotonic

	next    int       // keys[:next] were looked at
	batch   []sentKey // under way
	payload []byte    // of one key, reused
	answers answers   // to batch

	found   bool       // something was sent
	changed bool       // a key was changed while it was under way
	refused string     // the first error that the target answered
	broken  resp.Error // how the conversation ended early
}

// sentKey is a key whose payload is on its way. dirty is set when the key is
// touched meanwhile.
type sentKey struct {
	watch store.Watch
	dirty atomic.Bool
}

// newMigration reads the request. The order of the checks is Redis'.
func newMigration(x *Session, c *command.Ctx) (*migration, error) {
	m := &migration{cmd: x.srv.table.Lookup(c.Args[0]), since: x.current.last, args: copyArgs(c.Args)}
	m.keys = m.args[3:4]
	var user, password []byte
	a := resp.NewArgs(m.args[6:])
	for a.Left() > 0 && a.Err() == nil {
		switch {
		case a.Is("COPY"):
			m.copy = true
		case a.Is("REPLACE"):
			m.replace = true
		case a.Left() > 1 && a.Is("AUTH"):
			password = a.Next()
		case a.Left() > 2 && a.Is("AUTH2"):
			user, password = a.Next(), a.Next()
		case a.Is("KEYS"):
			if len(m.args[3]) > 0 {
				a.Fail(resp.ErrMigrateKeys)
			}
			m.keys = a.Rest()
		default:
			a.Fail(resp.ErrSyntax)
		}
	}
	numbers := resp.NewArgs([][]byte{m.args[5], m.args[4]})
	timeout, db := numbers.Int(), numbers.Int()
	if a.Err() == nil && numbers.Err() != nil {
		return nil, numbers.Err()
	}
	m.target = newTarget(string(m.args[1]), string(m.args[2]), migrateTimeout(timeout))
	m.target.greet(user, password, db)
	return m, a.Err()
}

func migrateTimeout(ms int64) time.Duration {
	if ms <= 0 {
		return defaultMigrateTimeout
	}
	return time.Duration(min(ms, maxMigrateTimeout)) * time.Millisecond
}

// migrate runs once for the request and once for the answers to each batch.
func migrate(x *Session, c *command.Ctx) {
	m := x.migration
	if m == nil {
		var err error
		if m, err = newMigration(x, c); err != nil {
			c.Fail(err)
			return
		}
		m.gather(c, len(m.keys))
	} else {
		m.settle(c)
		if m.broken == "" {
			m.gather(c, m.lockedKeys())
		}
	}
	if x.migration == nil && len(m.batch) > 0 && !x.beginMigration(m) {
		m.forget(c.Tx)
		c.Reply.Error(resp.ErrMigrateBusy)
		return
	}
	if m.broken == "" && (len(m.batch) > 0 || m.next < len(m.keys)) {
		x.await(m)
		return
	}
	x.endMigration()
	x.current.last = m.since // it took all the time since then
	m.reply(c.Reply)
}

func (m *migration) reply(r *resp.Reply) {
	switch {
	case m.refused != "":
		r.Error(resp.TargetReplied(m.refused))
	case m.broken != "":
		r.Error(m.broken)
	case m.changed:
		r.Error(resp.ErrMigrateChanged)
	case !m.found:
		r.Status("NOKEY")
	default:
		r.OK()
	}
}

// lockedKeys is the end of the keys that the locks of a later run cover.
func (m *migration) lockedKeys() int { return min(m.next+migrateBatchKeys, len(m.keys)) }

// gather makes a batch of the next keys that exist, up to keys[:end].
func (m *migration) gather(c *command.Ctx, end int) {
	out := m.target.out[:0]
	for ; m.next < end && len(out) < migrateBatchBytes && len(m.batch) < migrateBatchKeys; m.next++ {
		key := m.keys[m.next]
		payload, ok := c.Tx.Dump(key, m.payload[:0])
		if !ok {
			continue
		}
		out = m.appendRestore(out, c, key, payload)
		if m.payload = payload; cap(payload) > migrateBatchBytes {
			m.payload = nil
		}
		m.batch = append(m.batch, sentKey{watch: store.Watch{DB: c.Tx.DB(), Key: key}})
	}
	for i := range m.batch { // which does not move any more
		s := &m.batch[i]
		s.watch.Dirty = &s.dirty
		c.Tx.AddWatch(&s.watch)
	}
	m.target.out = out
	m.found = m.found || len(m.batch) > 0
}

// appendRestore appends the request that makes key on the target.
func (m *migration) appendRestore(out []byte, c *command.Ctx, key, payload []byte) []byte {
	ttl := int64(0)
	if at, _ := c.Tx.ExpireTime(key); at >= 0 {
		ttl = max(at-c.Tx.Now, 1)
	}
	args := [5][]byte{[]byte("RESTORE"), key, strconv.AppendInt(nil, ttl, 10), payload, []byte("REPLACE")}
	if m.replace {
		return resp.AppendRequest(out, args[:]...)
	}
	return resp.AppendRequest(out, args[:4]...)
}

// settle deletes what the target has taken.
func (m *migration) settle(c *command.Ctx) {
	a := &m.answers
	if m.refused == "" {
		m.refused = a.refused
	}
	m.broken = a.broken
	del := [][]byte{delName}
	batch := m.batch
	m.forget(c.Tx)
	for i := range batch {
		s := &batch[i]
		if m.copy || i >= len(a.taken) || !a.taken[i] || c.Tx.Kind(s.watch.Key, store.Peek) == store.KindNone {
			continue
		}
		if s.dirty.Load() {
			m.changed = true
			continue
		}
		c.Tx.Delete(s.watch.Key)
		del = append(del, s.watch.Key)
	}
	if len(del) > 1 {
		c.LogAs(del...)
	}
}

// forget ends the watches of the batch, whose shards are held.
func (m *migration) forget(tx *store.Tx) {
	db := tx.DB()
	for i := range m.batch {
		tx.Use(m.batch[i].watch.DB)
		tx.RemoveWatch(&m.batch[i].watch)
	}
	tx.Use(db)
	m.batch = nil
}

// beginMigration reports false if as many as may run do.
func (x *Session) beginMigration(m *migration) bool {
	s := x.srv
	if s.counters.migrations.Add(1) > int64(s.Config().MigrateMaxClients) {
		s.counters.migrations.Add(-1)
		return false
	}
	x.migration = m
	m.target.ctx, m.cancel = context.WithCancel(context.Background())
	return true
}

// endMigration is the end of every migration that has begun.
func (x *Session) endMigration() {
	if m := x.migration; m != nil {
		x.migration = nil
		m.cancel()
		x.srv.counters.migrations.Add(-1)
		x.pub.sentMem.Store(0)
	}
}

// await parks the session until the target has answered.
func (x *Session) await(m *migration) {
	x.park(parkMigrate, 0, func() resp.Next { return resp.Parked })
	t, n := m.target, len(m.batch)
	x.pub.sentMem.Store(int64(cap(t.out)))
	m.target.out = nil
	go func() {
		a := t.talk(n)
		x.conn.Post(func() { x.answered(m, &t, a) })
	}()
}

// answered goes on with a migration on its session's loop.
func (x *Session) answered(m *migration, t *target, a answers) {
	if x.migration != m { // ended meanwhile
		return
	}
	x.parked = nil
	m.answers = a
	if t != nil {
		m.target = *t
	}
	x.goOn(x.migrateOn(m))
}

// migrateOn runs the command again.
func (x *Session) migrateOn(m *migration) (next resp.Next) {
	s, w := x.srv, x.worker()
	defer func() {
		if p := recover(); p != nil {
			next = x.panicked(w, m.args, p)
		}
		x.giveBack(w)
	}()
	s.store.Begin(&w.tx, x.db, w.now()/int64(time.Millisecond))
	for i := range m.batch {
		w.tx.Want(m.batch[i].watch.DB, m.batch[i].watch.Key)
	}
	for _, key := range m.keys[m.next:m.lockedKeys()] {
		w.tx.Want(x.db, key)
	}
	w.tx.Lock()
	errs := x.out.Errors()
	w.retry = true
	s.call(w, &w.ctx, x, m.cmd, m.args, &x.out)
	w.retry = false
	return x.finish(w, m.cmd, m.args, errs, x.out.Elements())
}

// abandonMigration is for a session that ends. What is under way stays here,
// whether the target has it or not.
func (x *Session) abandonMigration(w *worker) {
	m := x.migration
	if m == nil {
		return
	}
	x.srv.store.Begin(&w.tx, x.db, w.now()/int64(time.Millisecond))
	for i := range m.batch {
		w.tx.Want(m.batch[i].watch.DB, m.batch[i].watch.Key)
	}
	w.tx.Lock()
	m.forget(&w.tx)
	w.tx.Unlock()
	x.endMigration()
}

// breakOffMigration answers at once: the server is going.
func (x *Session) breakOffMigration() {
	if m := x.migration; m != nil {
		x.answered(m, nil, answers{broken: resp.ErrMigrateReading})
	}
}
