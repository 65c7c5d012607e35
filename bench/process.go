package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// process is a running server.
type process struct {
	cmd  *exec.Cmd
	addr string
	port string
	dir  string
	keep bool         // stop leaves dir
	said bytes.Buffer // its standard error; complete after stop
	idle []net.Conn   // open until stop
}

func startSynap(binary, door string, more ...string) (*process, error) {
	return startSynapWith(binary, door, nil, append([]string{"--http-port", "0"}, more...)...)
}

// startSynapWith sets environment variables too.
func startSynapWith(binary, door string, env []string, more ...string) (*process, error) {
	return start(binary, env, append([]string{"--network-door", door, "--save", "", "--appendonly", "no"}, more...))
}

func startRedis(binary string, more ...string) (*process, error) {
	return start(binary, nil, append([]string{"--save", "", "--appendonly", "no"}, more...))
}

// freeAddress returns one that nobody listens on.
func freeAddress() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

func start(binary string, env, args []string) (*process, error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	return startIn(dir, binary, env, args)
}

// startIn returns once the server listens, whether it is loading or not.
func startIn(dir, binary string, env, args []string) (*process, error) {
	addr, err := freeAddress()
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(addr)
	args = append(args, "--port", port, "--bind", "127.0.0.1", "--dir", dir, "--maxclients", "12000", "--loglevel", "warning")
	p := &process{cmd: exec.Command(binary, args...), addr: addr, port: port, dir: dir}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stderr = &p.said
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	for range 1000 {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			return p, nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	p.stop()
	return nil, fmt.Errorf("%s does not listen on %s: %s", binary, addr, p.said.Bytes())
}

func (p *process) stop() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
	if !p.keep {
		os.RemoveAll(p.dir)
	}
	for _, c := range p.idle {
		c.Close()
	}
}

// resident returns the bytes of memory the process holds.
func (p *process) resident() (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	var kb float64
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		return 0, fmt.Errorf("no VmRSS: %w", err)
	}
	return kb * 1024, nil
}

// cpu returns the processor time used so far.
func (p *process) cpu() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	const ticks = 100 // USER_HZ
	return time.Duration(user+system) * time.Second / ticks, errors.Join(err1, err2)
}

// conn speaks just enough of the protocol to fill a server and to wait for it.
type conn struct {
	net.Conn
	in *bufio.Reader
}

func (p *process) dial() (*conn, error) {
	c, err := net.Dial("tcp", p.addr)
	if err != nil {
		return nil, err
	}
	return &conn{c, bufio.NewReaderSize(c, 64<<10)}, nil
}

func command(b []byte, args ...string) []byte {
	b = append(strconv.AppendInt(append(b, '*'), int64(len(args)), 10), "\r\n"...)
	for _, a := range args {
		b = append(strconv.AppendInt(append(b, '$'), int64(len(a)), 10), "\r\n"...)
		b = append(append(b, a...), "\r\n"...)
	}
	return b
}

// skip reads n replies without looking at them; an error reply is an error.
func (c *conn) skip(n int) error {
	for n > 0 {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		n--
		size, _ := strconv.Atoi(strings.TrimSpace(string(line[1:])))
		switch line[0] {
		case '-':
			return fmt.Errorf("reply %s", line)
		case '$':
			if size >= 0 {
				if _, err := c.in.Discard(size + 2); err != nil {
					return err
				}
			}
		case '*':
			n += max(size, 0)
		}
	}
	return nil
}

func (p *process) do(args ...string) error {
	c, err := p.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	return c.do(args...)
}

func (c *conn) do(args ...string) error {
	if _, err := c.Write(command(nil, args...)); err != nil {
		return err
	}
	return c.skip(1)
}

// knows says whether a server has a command.
func (p *process) knows(name string) bool {
	c, err := p.dial()
	if err != nil {
		return false
	}
	defer c.Close()
	if _, err := c.Write(command(nil, "COMMAND", "INFO", name)); err != nil {
		return false
	}
	_, _ = c.in.ReadString('\n')
	second, err := c.in.ReadString('\n')
	return err == nil && second != "*-1\r\n" && second != "$-1\r\n"
}

// fill sends n requests in pipelines of 500 and waits for all replies.
func (p *process) fill(n int, request func(b []byte, i int) []byte) error {
	c, err := p.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	const depth = 500
	var b []byte
	for i := 0; i < n; i += depth {
		b = b[:0]
		m := min(depth, n-i)
		for j := range m {
			b = request(b, i+j)
		}
		if _, err := c.Write(b); err != nil {
			return err
		}
		if err := c.skip(m); err != nil {
			return err
		}
	}
	return nil
}
