package server

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"synap/command"
	"synap/resp"
)

// SYNC sends a snapshot to a client, redis-cli --rdb for one. The snapshot is
// written to a file without a name first, whatever its readers do, and sent from
// there: a client that reads slowly costs disk, and no memory. What changes after
// the cut is not sent: there is no replication yet.

// dumps are the snapshots for clients.
type dumps struct {
	mu      sync.Mutex // guards what follows
	waiting []*dumpReader
	running bool

	places chan struct{} // one for each file that is being sent
}

const (
	dumpFiles  = 4         // sent at a time; further clients wait for a place
	dumpPiece  = 256 << 10 // bytes put into a client's output at a time
	dumpBehind = dumpPiece // output owed above which a client gets nothing more
	dumpPause  = 5 * time.Millisecond
)

// dumpReader is a client that waits for a snapshot, or reads one.
type dumpReader struct {
	session *Session
	ended   chan struct{} // closed when the connection is
}

func syncRows() []Row {
	const flags = command.NoAsyncLoad | command.Admin | command.NoMulti | command.NoScript
	row := func(name, usage, since, summary string, arity int, flags command.Flags, run func(*Session, *command.Ctx)) Row {
		return Row{Row: command.Row{
			Name: name, Usage: usage, Group: "server", Since: since, Summary: summary, Arity: arity, Flags: flags,
		}, Session: run}
	}
	conf := row("replconf", "", "3.0.0", "Tells what a client that is about to SYNC can do.", -1,
		command.Admin|command.NoScript|command.Loading|command.Stale|command.AllowBusy, replconf)
	conf.Complexity = "O(1)"
	return []Row{
		conf,
		row("sync", "", "1.0.0", "Sends a snapshot of all data.", 1, flags, syncOld),
		row("psync", "replicationid offset", "2.8.0", "Sends a snapshot of all data to a client that wants nothing more.", -3, flags, syncPartial),
	}
}

// replconf takes what clients say before SYNC. ACK and GETACK are for a stream
// that has begun: as in Redis, nobody else gets a reply to them.
func replconf(x *Session, c *command.Ctx) {
	if len(c.Args)%2 == 0 {
		c.Reply.Error(resp.ErrSyntax)
		return
	}
	for i := 1; i < len(c.Args); i += 2 {
		name, v := c.Args[i], c.Args[i+1]
		switch {
		case resp.EqualFold(name, "LISTENING-PORT"):
			if _, ok := resp.ParseInt(v); !ok {
				c.Reply.Error(resp.ErrNotInteger)
				return
			}
			x.replica = true
		case resp.EqualFold(name, "RDB-ONLY"):
			n, ok := resp.ParseInt(v)
			if !ok {
				c.Reply.Error(resp.ErrNotInteger)
				return
			}
			if n != 0 && n != 1 {
				c.Reply.Error(resp.ErrZeroOrOne)
				return
			}
			x.dumpOnly = n == 1
		case resp.EqualFold(name, "IP-ADDRESS"), resp.EqualFold(name, "CAPA"):
		case resp.EqualFold(name, "ACK"), resp.EqualFold(name, "GETACK"):
			return
		default:
			c.Reply.Error(resp.UnknownReplconf(name))
			return
		}
	}
	c.Reply.OK()
}

// syncOld is SYNC. A server that means to follow is told that it cannot.
func syncOld(x *Session, c *command.Ctx) {
	if x.replica && !x.dumpOnly {
		c.Reply.Error(resp.ErrNoFollowers)
		return
	}
	x.waitForDump()
}

// syncPartial is PSYNC, which asks for what follows the snapshot, unless
// REPLCONF rdb-only said otherwise.
func syncPartial(x *Session, c *command.Ctx) {
	if _, ok := resp.ParseInt(c.Args[2]); !ok {
		c.Reply.Error(resp.ErrNotInteger)
		return
	}
	if !x.dumpOnly {
		c.Reply.Error(resp.ErrNoFollowers)
		return
	}
	c.Reply.Status("FULLRESYNC " + x.srv.runID + " 0")
	x.waitForDump()
}

// waitForDump parks the session until a snapshot was sent to it.
func (x *Session) waitForDump() {
	x.dump = &dumpReader{x, make(chan struct{})}
	x.park(parkDump, 0, func() resp.Next {
		x.dump = nil
		if x.dumpOnly {
			x.closing = true
		}
		if x.closing {
			return resp.Close
		}
		return resp.Continue
	})
	d := &x.srv.dumps
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waiting = append(d.waiting, x.dump)
	if !d.running {
		d.running = true
		x.srv.persist.work.Add(1)
		go x.srv.serveDumps()
	}
}

// serveDumps writes snapshots while somebody waits for one.
func (s *Server) serveDumps() {
	defer s.persist.work.Done()
	d := &s.dumps
	for {
		select {
		case d.places <- struct{}{}:
		case <-s.stopCron:
			return
		}
		file, readers, err := s.writeDump()
		switch {
		case err != nil:
			s.log.Error("no snapshot was written for SYNC", "error", err)
			for _, r := range readers {
				r.session.endDump(resp.ErrDumpFailed)
			}
			<-d.places
		case file == nil:
			<-d.places
		default:
			go s.sendDump(file, readers)
		}
		d.mu.Lock()
		if d.running = len(d.waiting) > 0; !d.running {
			d.mu.Unlock()
			return
		}
		d.mu.Unlock()
	}
}

// writeDump writes a snapshot for all who wait at its cut; the file is nil if
// nobody does any more.
func (s *Server) writeDump() (*os.File, []*dumpReader, error) {
	p, d := &s.persist, &s.dumps
	p.cutting.Lock()
	defer p.cutting.Unlock()
	d.mu.Lock()
	readers := slices.DeleteFunc(d.waiting, (*dumpReader).gone)
	d.waiting = nil
	d.mu.Unlock()
	if len(readers) == 0 {
		return nil, nil, nil
	}
	c := s.Config()
	if err := c.MakeDir(); err != nil {
		return nil, readers, err
	}
	file, err := os.CreateTemp(c.Dir, "temp-sync-*.rdb")
	if err != nil {
		return nil, readers, err
	}
	_ = os.Remove(file.Name()) // where open files cannot go, forget does it
	o := s.snapshotOptions(false)
	tx := s.lockAll()
	snapshot := tx.Cut(o)
	tx.Unlock()
	if err := s.writeCut(&p.dumped, snapshot, file); err != nil {
		forget(file)
		return nil, readers, err
	}
	p.dumped.count.Add(int64(len(readers)))
	return file, readers, nil
}

// forget closes a file without a name.
func forget(file *os.File) {
	_ = file.Close() // nothing of it is needed any more
	_ = os.Remove(file.Name())
}

func (r *dumpReader) gone() bool {
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

// sendDump sends a file to several clients, each at its own pace.
func (s *Server) sendDump(file *os.File, readers []*dumpReader) {
	var all sync.WaitGroup
	for _, r := range readers {
		all.Go(func() {
			if err := r.send(file); err != nil {
				s.log.Error("a snapshot cannot be read back for SYNC", "error", err)
				r.session.conn.Kill()
				return
			}
			r.session.endDump("")
		})
	}
	all.Wait()
	forget(file)
	<-s.dumps.places
}

// send puts the file into the client's output, piece by piece, until its end or
// that of the connection.
func (r *dumpReader) send(file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !r.put(strconv.AppendInt([]byte("$"), info.Size(), 10)) || !r.put([]byte("\r\n")) {
		return nil
	}
	piece := make([]byte, dumpPiece)
	for at := int64(0); at < info.Size(); {
		n, err := file.ReadAt(piece[:min(dumpPiece, info.Size()-at)], at)
		if err != nil && err != io.EOF || n == 0 {
			return fmt.Errorf("at %d of %d: %w", at, info.Size(), err)
		}
		if !r.put(piece[:n]) {
			return nil
		}
		at += int64(n)
	}
	return nil
}

// put waits until the client has taken most of what it was sent, and adds b. It
// returns false if the connection has ended.
func (r *dumpReader) put(b []byte) bool {
	x := r.session
	took := make(chan bool, 1)
	for {
		posted := x.conn.Post(func() {
			fits := x.out.Len() <= dumpBehind
			if fits {
				x.out.SetLimit(0) // what is owed is bounded here
				x.out.Raw(b)
			}
			x.publishOutput()
			took <- fits
		})
		if !posted {
			return false
		}
		select {
		case <-r.ended:
			return false
		case fits := <-took:
			if fits {
				return true
			}
		}
		select {
		case <-r.ended:
			return false
		case <-time.After(dumpPause):
		}
	}
}

// endDump lets the session go on, or end with an error.
func (x *Session) endDump(e resp.Error) {
	x.conn.Post(func() {
		x.setLimits()
		if e != "" {
			x.out.Error(e)
			x.closing = true
		}
		if p := x.parked; p != nil && p.reason == parkDump {
			x.goOn(p.wake())
		}
	})
}
