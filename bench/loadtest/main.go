// Command loadtest drives a server with a mixed load from several addresses and
// compares the metrics with what it did: they must be equal, to the operation
// and to the byte. It prints every number and exits with 1 on a difference.
//
//	go run ./bench/loadtest -duration 10s
//
// A Prometheus, if there is one, scrapes all the while and is compared too.
package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	binary := flag.String("synap", "bin/synap", "the binary under test")
	prometheus := flag.String("prometheus", "prometheus", "a Prometheus; without one only the side port is compared")
	door := flag.String("door", "loop", "its network door")
	duration := flag.Duration("duration", time.Minute, "how long the load lasts")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "of the choice of commands")
	flag.Parse()
	if err := test(*binary, *door, *prometheus, *duration, *seed); err != nil {
		fmt.Fprintln(os.Stderr, "loadtest:", err)
		os.Exit(1)
	}
}

func test(binary, door, prometheus string, d time.Duration, seed uint64) error {
	dir, err := os.MkdirTemp("", "loadtest")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ports, err := freePorts(3)
	if err != nil {
		return err
	}
	addr, side := "127.0.0.1:"+ports[0], "127.0.0.1:"+ports[1]
	args := []string{"--port", ports[0], "--http-port", ports[1], "--dir", dir, "--network-door", door, "--loglevel", "warning"}
	for i := 0; i < len(serverOptions); i += 2 {
		args = append(args, "--"+serverOptions[i], serverOptions[i+1])
	}
	server, err := start("http://"+side+"/readyz", binary, args...)
	if err != nil {
		return err
	}
	defer stop(server)
	watcher := ""
	if path, err := exec.LookPath(prometheus); err == nil {
		watcher = "127.0.0.1:" + ports[2]
		p, err := startPrometheus(path, watcher, side, dir)
		if err != nil {
			return err
		}
		defer stop(p)
		if _, _, err := stored(watcher); err != nil { // it scrapes from here on
			return err
		}
	}
	fmt.Printf("%v of load, seed %d\n", d, seed)
	did, err := run(addr, d, seed)
	if err != nil {
		return err
	}
	return judge(did, side, watcher)
}

// judge scrapes, asks the Prometheus at watcher if there is one, and prints.
func judge(did ledger, side, watcher string) error {
	measured, err := settled(side, did)
	if err != nil {
		return err
	}
	var kept ledger
	if watcher == "" {
		fmt.Println("no Prometheus is installed: only the side port is compared")
	} else {
		var scrapes float64
		if kept, scrapes, err = stored(watcher); err != nil {
			return err
		}
		fmt.Printf("Prometheus scraped %v times\n", scrapes)
	}
	if wrong := report(os.Stdout, compare(did, measured, kept), true); wrong > 0 {
		return fmt.Errorf("%d numbers differ", wrong)
	}
	return nil
}

// freePorts returns ports of loopback that nobody listens on.
func freePorts(n int) ([]string, error) {
	var ports []string
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer ln.Close()
		_, port, err := net.SplitHostPort(ln.Addr().String())
		if err != nil {
			return nil, err
		}
		ports = append(ports, port)
	}
	return ports, nil
}

// start runs a program and waits until a page of it answers.
func start(page, program string, args ...string) (*exec.Cmd, error) {
	cmd := exec.Command(program, args...)
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if _, err = fetch(page); err == nil {
			return cmd, nil
		}
	}
	stop(cmd)
	return nil, fmt.Errorf("%s does not answer: %w\n%s", program, err, log.String())
}

func stop(cmd *exec.Cmd) {
	cmd.Process.Kill()
	cmd.Wait()
}

func startPrometheus(path, addr, side, dir string) (*exec.Cmd, error) {
	file := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf("global: {scrape_interval: 1s}\nscrape_configs: [{job_name: synap, static_configs: [{targets: [%q]}]}]\n", side)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return start("http://"+addr+"/-/ready", path, "--config.file="+file, "--web.listen-address="+addr,
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--log.level=warn")
}
