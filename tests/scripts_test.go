package tests

import (
	"flag"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var (
	flagAddr   = flag.String("addr", "", "run the scripts against the server at host:port")
	flagRecord = flag.Bool("record", false, "let redis-server write the replies into the scripts")
	flagOwn    = flag.Bool("own", false, "with -record: our server writes the replies of the sections marked own, for review")
	flagProto  = flag.Int("proto", 0, "run the scripts in this protocol only (2 or 3)")
	flagDoor   = flag.String("door", "", "run the scripts through this door only (loop or redcon)")
	flagAll    = flag.Bool("all", false, "run every script through both doors in both protocols")
)

// variant is a way to run a section.
type variant struct {
	proto int
	door  string
}

// variants returns how to run the section with this number: by turn, or all.
func variants(number int, sec *section) []variant {
	all := []variant{{2, "loop"}, {3, "redcon"}, {3, "loop"}, {2, "redcon"}}
	var fit []variant
	for _, v := range all {
		if (sec.proto == 0 || sec.proto == v.proto) && (*flagProto == 0 || *flagProto == v.proto) &&
			(*flagDoor == "" || *flagDoor == v.door) {
			fit = append(fit, v)
		}
	}
	if *flagAll || len(fit) == 0 {
		return fit
	}
	return fit[number%len(fit) : number%len(fit)+1]
}

func TestScripts(t *testing.T) {
	paths, err := filepath.Glob("../command/testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".txt")
		t.Run(name, func(t *testing.T) {
			s, err := readScript(path)
			if err != nil {
				t.Fatal(err)
			}
			if *flagRecord {
				record(t, s)
				return
			}
			for i, sec := range s.sections {
				t.Run(sec.title, func(t *testing.T) {
					for _, v := range variants(i, sec) {
						runSection(t, s, sec, v)
					}
				})
			}
		})
	}
}

func runSection(t *testing.T, s *script, sec *section, v variant) {
	t.Helper()
	var srv *target
	switch {
	case *flagAddr == "":
		srv = startSynap(t, v.door, sec.options)
		defer srv.stop()
	case len(sec.options) > 0:
		t.Skip("the section needs options at the server's start")
	default:
		srv = remoteServer(t, *flagAddr)
	}
	r := newRun(t, s, sec, srv, v.proto)
	r.judge = r.compare
	r.steps()
	if srv.restart != nil && !t.Failed() {
		if err := srv.restart(); err != nil {
			t.Errorf("%s (%d, %s): %v", sec.title, v.proto, v.door, err)
		}
	}
}

func newRun(t *testing.T, s *script, sec *section, srv *target, proto int) *run {
	r := &run{sec: sec, srv: srv, proto: proto, clients: map[string]*client{}, blocked: map[string]bool{}}
	r.vars = variables{now: srv.now(), kept: map[string]string{}}
	r.fail = func(line int, format string, args ...any) {
		t.Helper()
		t.Errorf("%s:%d (protocol %d): %s", s.path, line+1, proto, fmt.Sprintf(format, args...))
	}
	r.meet(t)
	return r
}

// meet starts the second server, of the same kind, of a section that names it:
// client peer talks to it, and {peer} is its port.
func (r *run) meet(t *testing.T) {
	if !slices.ContainsFunc(r.sec.steps, func(s *step) bool { return strings.Contains(s.text, "{peer}") }) {
		return
	}
	if r.srv.ours() {
		r.peer = startSynap(t, "loop", nil)
	} else {
		r.peer = startRedis(t, nil)
	}
	_, r.vars.kept["peer"], _ = net.SplitHostPort(r.peer.addr)
}

// record runs every section against a fresh redis-server in each protocol and
// writes the replies into the script.
func record(t *testing.T, s *script) {
	rec := &recording{script: s, replies: map[int]map[int]value{}}
	for _, sec := range s.sections {
		if (sec.apart != "") != *flagOwn {
			continue
		}
		for _, proto := range []int{2, 3} {
			if sec.proto != 0 && sec.proto != proto {
				continue
			}
			var srv *target
			if *flagOwn {
				srv = startSynap(t, "loop", sec.options)
			} else {
				srv = startRedis(t, sec.options)
			}
			r := newRun(t, s, sec, srv, proto)
			r.judge = rec.judge(proto, r)
			r.steps()
			srv.stop()
		}
	}
	if err := rec.write(); err != nil {
		t.Fatal(err)
	}
}
