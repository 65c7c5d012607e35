package resp

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"
)

func TestDoorMaxClients(t *testing.T) {
	eachDoor(t, func(h *harness, _ *ListenerSpec, _ *DoorConfig) {
		h.admission.Set(AdmissionConfig{MaxClients: 2, Reserved: 1})
	}, func(h *harness) {
		inside := []*client{h.dial(), h.dial(), h.dial()}
		for _, c := range inside {
			c.ping()
		}
		for range 3 {
			if h.kind == "tls" { // closed before the handshake, without a word
				if c, err := h.dialer(); err == nil {
					c.Close()
					h.t.Fatal("the handshake went through")
				}
				raw, err := net.Dial("tcp", h.door.Addr().String())
				if err != nil {
					h.t.Fatal(err)
				}
				if got, _ := io.ReadAll(raw); len(got) > 0 {
					h.t.Fatalf("got %q", got)
				}
				raw.Close()
				continue
			}
			h.dial().expectClosed("-ERR max number of clients reached\r\n")
		}
		if n := h.admission.Rejected(RejectedMaxClients); n < 3 {
			h.t.Errorf("%d rejected", n)
		}
		inside[0].Close()
		h.until("a slot is free", func() bool { return h.admission.Clients() < 3 })
		h.dial().ping()
	})
}

// proxyDoors are the doors that can be behind a proxy.
func proxyDoors(t *testing.T, change setup, f func(h *harness)) {
	for _, kind := range doorKinds() {
		if kind == "unix" || kind == "tls" {
			continue // unix: no addresses; tls: TestDoorProxyTLS
		}
		t.Run(kind, func(t *testing.T) {
			f(start(t, kind, func(h *harness, spec *ListenerSpec, conf *DoorConfig) {
				spec.ProxyFrom = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
				if change != nil {
					change(h, spec, conf)
				}
			}))
		})
	}
}

func proxyHeader(t testing.TB, version byte, src string) string {
	t.Helper()
	a := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(src))
	h := proxyproto.HeaderProxyFromAddrs(version, a, &net.TCPAddr{IP: a.IP, Port: 1})
	b, err := h.Format()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestDoorProxyHeader(t *testing.T) {
	proxyDoors(t, nil, func(h *harness) {
		local := string([]byte("\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"))
		for _, c := range []struct{ header, remote string }{
			{proxyHeader(h.t, 1, "192.0.2.7:1234"), "192.0.2.7:1234"},
			{proxyHeader(h.t, 2, "192.0.2.8:1235"), "192.0.2.8:1235"},
			{proxyHeader(h.t, 2, "[2001:db8::1]:1236"), "[2001:db8::1]:1236"},
			{local, ""},
		} {
			whole := h.dial()
			whole.send(c.header + ping)
			whole.expect("+PONG\r\n")
			remote := c.remote
			if remote == "" {
				remote = whole.LocalAddr().String()
			}
			if got := h.server.latest().conn.Remote(); got != remote {
				h.t.Errorf("Remote %q, want %q", got, remote)
			}
			drip := h.dial()
			for i := range c.header {
				drip.send(c.header[i : i+1])
			}
			drip.ping()
		}
	})
}

func TestDoorProxyHeaderRequired(t *testing.T) {
	proxyDoors(t, func(_ *harness, _ *ListenerSpec, conf *DoorConfig) { conf.Handshake = 50 * time.Millisecond }, func(h *harness) {
		for i, in := range []string{ping, "", "PROXY TCP4 nonsense\r\n", "PROXY", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff"} {
			c := h.dial()
			c.offer(in)
			if got, err := io.ReadAll(c); len(got) > 0 || isTimeout(err) {
				h.t.Errorf("%q: got %q, %v", in, got, err)
			}
			h.until("it is counted", func() bool { return h.admission.Rejected(RejectedProxy) == int64(i+1) })
		}
		h.until("their slots are free", func() bool { return h.admission.Clients() == 0 })
		// Silent proxied peers hold up nobody.
		for range 50 {
			h.dial()
		}
		c := h.dial()
		c.send(proxyHeader(h.t, 1, "192.0.2.7:1234"))
		c.ping()
	})
}

func TestDoorProxyHeaderFromStranger(t *testing.T) {
	proxyDoors(t, func(_ *harness, spec *ListenerSpec, _ *DoorConfig) {
		spec.ProxyFrom = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	}, func(h *harness) {
		h.dial().ping()
		c := h.dial()
		c.offer(proxyHeader(h.t, 1, "192.0.2.7:1234") + ping)
		c.expectClosed("")
		if n := h.admission.Rejected(RejectedProxy); n != 1 {
			h.t.Errorf("%d rejected", n)
		}
	})
}

func TestDoorProtectedMode(t *testing.T) {
	proxyDoors(t, func(h *harness, _ *ListenerSpec, _ *DoorConfig) {
		h.admission.Set(AdmissionConfig{MaxClients: 10, Protected: true})
	}, func(h *harness) {
		c := h.dial()
		c.send(proxyHeader(h.t, 1, "192.0.2.7:1234"))
		c.expectClosed("-" + string(Denied) + "\r\n")
		c = h.dial()
		c.send(proxyHeader(h.t, 1, "127.0.0.1:1234"))
		c.ping()
		h.admission.Set(AdmissionConfig{MaxClients: 10})
		c = h.dial()
		c.send(proxyHeader(h.t, 1, "192.0.2.7:1234"))
		c.ping()
	})
}

func TestDoorAdmitHook(t *testing.T) {
	eachDoor(t, func(h *harness, spec *ListenerSpec, _ *DoorConfig) {
		h.admission.Set(AdmissionConfig{MaxClients: 10, Admit: func(a netip.Addr) error {
			if !a.IsLoopback() {
				return errors.New("not called with the peer's address")
			}
			return Error("ERR too many connections from your address")
		}})
	}, func(h *harness) {
		if h.kind == "unix" { // has no address to be limited by
			h.dial().ping()
			return
		}
		h.dial().expectClosed("-ERR too many connections from your address\r\n")
		if n := h.admission.Rejected(RejectedAddress); n != 1 {
			h.t.Errorf("%d rejected", n)
		}
		h.until("its slot is free", func() bool { return h.admission.Clients() == 0 })
	})
}

func TestDoorOpenFails(t *testing.T) {
	eachDoor(t, func(h *harness, _ *ListenerSpec, _ *DoorConfig) { h.server.refuse = errors.New("not\r\ntoday") }, func(h *harness) {
		h.dial().expectClosed("-ERR not  today\r\n")
		h.until("its slot is free", func() bool { return h.admission.Clients() == 0 })
	})
}

// Peers that never shake hands hold up nobody and are closed (redcon W14).
func TestDoorHandshake(t *testing.T) {
	h := start(t, "tls", func(_ *harness, _ *ListenerSpec, conf *DoorConfig) { conf.Handshake = 100 * time.Millisecond })
	for _, in := range []string{"", "\x16\x03\x01", "PING\r\n"} {
		conn, err := net.Dial("tcp", h.door.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = conn.Write([]byte(in))
	}
	h.dial().ping()
	h.until("they are turned away", func() bool { return h.admission.Rejected(RejectedTLS) == 3 })
}

func TestListenUnix(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no socket modes")
	}
	path := filepath.Join(t.TempDir(), "s")
	spec := ListenerSpec{Network: "unix", Path: path, Perm: 0o640, Admission: NewAdmission(AdmissionConfig{})}
	listen := func() *listener {
		t.Helper()
		all, err := spec.listen()
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
		return all[0]
	}
	first := listen()
	if _, err := spec.listen(); err == nil {
		t.Error("took the socket of a living server")
	}
	first.Listener.(*net.UnixListener).SetUnlinkOnClose(false)
	first.stop()
	listen().stop() // a dead server's socket is replaced
	if err := os.WriteFile(path, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := spec.listen(); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("a file: %v", err)
	}
}

func TestListenHosts(t *testing.T) {
	adm := NewAdmission(AdmissionConfig{})
	spec := ListenerSpec{Network: "tcp", Hosts: []string{"127.0.0.1", "-192.0.2.1", "-2001:db8::1"}, Backlog: 16, Admission: adm}
	all, err := spec.listen()
	if err != nil || len(all) != 1 {
		t.Fatalf("%d listeners, %v", len(all), err)
	}
	defer all[0].stop()
	taken := spec
	taken.Port = all[0].Addr().(*net.TCPAddr).Port
	if _, err := taken.listen(); err == nil {
		t.Error("took a port twice")
	}
	for _, hosts := range [][]string{{"192.0.2.1"}, {"-192.0.2.1"}, {}} {
		spec.Hosts = hosts
		if _, err := spec.listen(); err == nil {
			t.Errorf("%v: no error", hosts)
		}
	}
	for in, want := range map[string]string{"*": "tcp4 0.0.0.0", "": "tcp4 0.0.0.0", "::*": "tcp6 ::", "::1": "tcp6 ::1", "localhost": "tcp localhost"} {
		if network, host := tcpHost(in); network+" "+host != want {
			t.Errorf("%q: %s %s", in, network, host)
		}
	}
}

func TestReasonsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for r := range Reasons {
		seen[Reason(r).String()] = true
	}
	if len(seen) != Reasons {
		t.Errorf("%d names for %d reasons", len(seen), Reasons)
	}
}

func TestReadProxyHeaderKeepsTheRest(t *testing.T) {
	in := proxyHeader(t, 1, "192.0.2.7:1234") + ping
	peer, rest, err := readProxyHeader(bytes.NewReader([]byte(in)), netip.AddrPort{})
	if err != nil || peer.String() != "192.0.2.7:1234" || string(rest) != ping {
		t.Fatalf("%v %q %v", peer, rest, err)
	}
}
