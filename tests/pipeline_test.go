//go:build !record

package tests

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestUnreadPipeline sends a million GETs before it reads a reply, through each
// kind of door: the server reads and runs on, tells what it owes, and sends all
// of it in order.
func TestUnreadPipeline(t *testing.T) {
	cert, key := certificateFiles(t)
	for _, door := range []string{"loop", "redcon"} {
		socket, tlsPort := filepath.Join(t.TempDir(), "s"), fmt.Sprint(freePort(t))
		p := startProgram(t, "--network-door", door, "--unixsocket", socket, "--tls-port", tlsPort, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-auth-clients", "no")
		other := p.dial(t, 2)
		for i := range 1000 {
			other.must(t, "SET", fmt.Sprintf("k%03d", i), fmt.Sprintf("%0100d", i))
		}
		base := p.goroutines(t)
		dials := map[string]func() (*client, error){door: func() (*client, error) { return dial("tcp", p.addr, 2) }}
		if door == "redcon" {
			dials["unix"] = func() (*client, error) { return dial("unix", socket, 2) }
			dials["tls"] = func() (*client, error) {
				conn, err := tls.Dial("tcp", "127.0.0.1:"+tlsPort, &tls.Config{InsecureSkipVerify: true})
				return &client{conn: conn, in: bufio.NewReaderSize(conn, 64<<10), proto: 2}, err
			}
		}
		for name, dial := range dials {
			t.Run(name, func(t *testing.T) {
				c, err := dial()
				if err != nil {
					t.Fatal(err)
				}
				unreadPipeline(t, p, c, other)
				c.close()
				await(t, "the goroutines are as before", func() bool { return p.goroutines(t) <= base })
			})
		}
	}
}

func unreadPipeline(t *testing.T, p *program, c, other *client) {
	const requests, bytes = 1_000_000, 1_000_000 * (len("$100\r\n") + 100 + 2)
	var batch []byte
	for i := range 1000 {
		batch = appendCommand(batch, []string{"GET", fmt.Sprintf("k%03d", i)})
	}
	for range requests / 1000 {
		if err := c.sendRaw(batch); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "the replies are owed", func() bool { return p.owed(t, other) > bytes/2 })
	got := make([]byte, 108)
	for i := range requests {
		c.conn.SetReadDeadline(time.Now().Add(replyTimeout))
		_, err := io.ReadFull(c.in, got)
		if want := fmt.Sprintf("$100\r\n%0100d\r\n", i%1000); err != nil || string(got) != want {
			t.Fatalf("reply %d is %q (%v)", i, got, err)
		}
	}
	await(t, "nothing is owed", func() bool { return p.owed(t, other) == 0 })
	c.must(t, "PING")
}

var omem = regexp.MustCompile(` omem=(\d+) `)

// owed returns the replies that all clients have not taken, in bytes.
func (p *program) owed(t *testing.T, c *client) (sum int) {
	t.Helper()
	for _, m := range omem.FindAllStringSubmatch(c.must(t, "CLIENT", "LIST").text, -1) {
		n, _ := strconv.Atoi(m[1])
		sum += n
	}
	return sum
}

// goroutines returns how many the program runs.
func (p *program) goroutines(t *testing.T) int {
	t.Helper()
	answer, err := http.Get("http://" + p.side + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\ngo_goroutines ")
	n := 0
	if _, err := fmt.Sscan(rest, &n); err != nil || !found {
		t.Fatalf("no go_goroutines: %v", err)
	}
	return n
}

// certificateFiles writes a certificate for tests and its key.
func certificateFiles(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	public, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: public}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}
