// Package synap holds no code, only the rules of style that a machine can
// check. docs/STYLE.md has the rest.
package synap

import (
	"bytes"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mayImport is the import picture of docs/ARCHITECTURE.md: for each package its
// neighbours and the modules that stand behind its door. Test files are free.
var mayImport = map[string][]string{
	"cmd/synap": {"synap/config", "synap/server"},
	"server":    {"synap/command", "synap/config", "synap/journal", "synap/limiter", "synap/metrics", "synap/resp", "synap/store"},
	"command":   {"synap/resp", "synap/store"},
	"journal":   {"synap/resp", "synap/store", "golang.org/x/sys"},
	"resp":      {"github.com/tidwall/redcon", "github.com/pires/go-proxyproto", "golang.org/x/sys"},
	"store":     {"golang.org/x/sys"},
	"metrics":   {"github.com/prometheus", "google.golang.org/protobuf", "github.com/shirou/gopsutil", "go.opentelemetry.io/otel", "go.opentelemetry.io/proto/otlp"},
	"limiter":   {},
	"config":    {"github.com/spf13/viper", "go.yaml.in/yaml/v3"},
	"bench":     {},

	"bench/loadtest": {},
	"examples/queue": {"github.com/redis/go-redis/v9"},
}

// sharedModules may stand behind more than one door.
var sharedModules = []string{"golang.org/x/sys"}

// source is one parsed Go file of the repository.
type source struct {
	path string // relative, with slashes
	dir  string
	text []byte
	file *ast.File
	fset *token.FileSet
}

func (s *source) test() bool { return strings.HasSuffix(s.path, "_test.go") }

func sources(t *testing.T) []*source {
	t.Helper()
	var all []*source
	walk(t, func(path string, text []byte) {
		if !strings.HasSuffix(path, ".go") {
			return
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, text, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, &source{path, filepath.ToSlash(filepath.Dir(path)), text, file, fset})
	})
	return all
}

// walk visits the files that belong to the repository.
func walk(t *testing.T, visit func(path string, text []byte)) {
	t.Helper()
	skip := map[string]bool{".git": true, "bin": true, "tmp": true, "data": true, ".node": true, "node_modules": true}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if skip[d.Name()] {
				return filepath.SkipDir
			}
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		visit(filepath.ToSlash(path), text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestImports(t *testing.T) {
	doors := map[string][]string{} // module → directories that import it
	for _, s := range sources(t) {
		if s.test() {
			continue
		}
		allowed, known := mayImport[s.dir]
		if !known {
			t.Errorf("%s: folder %s is not in the import picture", s.path, s.dir)
		}
		for _, spec := range s.file.Imports {
			name, _ := strconv.Unquote(spec.Path.Value)
			first, _, _ := strings.Cut(name, "/")
			if first != "synap" && !strings.Contains(first, ".") {
				continue // standard library
			}
			i := slices.IndexFunc(allowed, func(a string) bool { return name == a || strings.HasPrefix(name, a+"/") })
			if i < 0 {
				t.Errorf("%s must not import %s", s.path, name)
			} else if first != "synap" && !slices.Contains(sharedModules, allowed[i]) && !slices.Contains(doors[allowed[i]], s.dir) {
				doors[allowed[i]] = append(doors[allowed[i]], s.dir)
			}
		}
	}
	for module, dirs := range doors {
		if len(dirs) > 1 {
			t.Errorf("%s is imported by %v: one door per dependency", module, dirs)
		}
	}
}

// TestPureState keeps clocks and chance out of the state machine: they come in
// as arguments.
func TestPureState(t *testing.T) {
	banned := map[string][]string{"time": {"Now", "Since", "Until", "Sleep", "After", "NewTimer", "NewTicker", "Tick", "AfterFunc"}}
	for _, s := range sources(t) {
		if s.test() || s.dir != "command" && s.dir != "store" {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Obj == nil && slices.Contains(banned[pkg.Name], sel.Sel.Name) {
				t.Errorf("%s: %s.%s in the state machine", s.fset.Position(n.Pos()), pkg.Name, sel.Sel.Name)
			}
			return true
		})
	}
}

func TestNames(t *testing.T) {
	banned := regexp.MustCompile(`(^|[/_])(utils?|common|helpers?|misc|shared|constants)(\.go$|_test\.go$|/|$)`)
	walk(t, func(path string, _ []byte) {
		if banned.MatchString(path) {
			t.Errorf("%s: a helper lives with its only noun", path)
		}
	})
}

// Limits of length. The lists of exceptions may only get shorter.
const (
	maxFunction = 70
	maxFile     = 900
)

var (
	longFunctions = map[string]int{}
	longFiles     = map[string]int{}
)

func TestLengths(t *testing.T) {
	for _, s := range sources(t) {
		if n := bytes.Count(s.text, []byte("\n")); n > max(maxFile, longFiles[s.path]) {
			t.Errorf("%s has %d lines, the limit is %d", s.path, n, maxFile)
		}
		for _, decl := range s.file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Body == nil || onlyLiteral(f) {
				continue
			}
			name := s.path + ":" + f.Name.Name
			n := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line + 1
			if n > max(maxFunction, longFunctions[name]) {
				t.Errorf("%s has %d lines, the limit is %d", name, n, maxFunction)
			}
		}
	}
}

// onlyLiteral says whether a function is a table: it only returns literals.
func onlyLiteral(f *ast.FuncDecl) bool {
	for _, stmt := range f.Body.List {
		ret, ok := stmt.(*ast.ReturnStmt)
		if !ok || len(ret.Results) != 1 {
			return false
		}
		if _, ok := ret.Results[0].(*ast.CompositeLit); !ok {
			return false
		}
	}
	return len(f.Body.List) > 0
}

func TestNoInit(t *testing.T) {
	for _, s := range sources(t) {
		for _, decl := range s.file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: init() hides what a program is made of", s.fset.Position(f.Pos()))
			}
		}
	}
}

func TestFormat(t *testing.T) {
	for _, s := range sources(t) {
		got, err := format.Source(s.text)
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(got, s.text) {
			t.Errorf("%s is not formatted: gofmt -w %s", s.path, s.path)
		}
	}
}

// TestOptionsAreRead demands a reader outside of config for every option.
func TestOptionsAreRead(t *testing.T) {
	all := sources(t)
	used := map[string]bool{}
	for _, s := range all {
		if s.test() {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && (s.dir != "config" || readsInConfig(s)) {
				used[sel.Sel.Name] = true
			}
			return true
		})
	}
	structs := map[string]*ast.StructType{}
	for _, s := range all {
		if s.dir == "config" && !s.test() {
			ast.Inspect(s.file, func(n ast.Node) bool {
				if spec, ok := n.(*ast.TypeSpec); ok {
					if st, ok := spec.Type.(*ast.StructType); ok {
						structs[spec.Name.Name] = st
					}
				}
				return true
			})
		}
	}
	root := structs["Config"]
	if root == nil {
		t.Fatal("config.Config is not there")
	}
	unreadFields(t, "Config", root, structs, used)
}

// readsInConfig says whether a file of package config turns options into what
// other packages take (a limiter's configuration, for instance).
func readsInConfig(s *source) bool { return s.path == "config/config.go" }

func unreadFields(t *testing.T, name string, st *ast.StructType, structs map[string]*ast.StructType, used map[string]bool) {
	t.Helper()
	for _, field := range st.Fields.List {
		for _, id := range field.Names {
			if !id.IsExported() {
				continue
			}
			if !used[id.Name] {
				t.Errorf("%s.%s is an option that nobody reads", name, id.Name)
			}
			if inner, ok := field.Type.(*ast.Ident); ok && structs[inner.Name] != nil {
				unreadFields(t, inner.Name, structs[inner.Name], structs, used)
			}
		}
	}
}

// TestWords keeps out what does not belong to the project.
func TestWords(t *testing.T) {
	banned := regexp.MustCompile(`(?i)(/tmp/bri` + `ef|/wo` + `rk/|\bclau` + `de\b|\bchat` + `gpt|\bcopi` + `lot\b|registry\.npm` + `js|proxy\.gol` + `ang|co-authored` + `-by|FIX` + `ME|\bXX` + `X\b|TO` + `DO\b)`)
	walk(t, func(path string, text []byte) {
		if path == "go.sum" || path == "command/testdata" {
			return
		}
		if m := banned.Find(text); m != nil && !bytes.ContainsRune(text, 0) {
			line := bytes.Count(text[:bytes.Index(text, m)], []byte("\n")) + 1
			t.Errorf("%s:%d: %q does not belong here", path, line, m)
		}
	})
}

func TestModTidy(t *testing.T) {
	out, err := exec.Command("go", "mod", "tidy", "-diff").CombinedOutput()
	if err == nil {
		return
	}
	if bytes.Contains(out, []byte("dial tcp")) || bytes.Contains(out, []byte("no such host")) {
		t.Skip("go mod tidy needs modules that cannot be fetched now")
	}
	t.Errorf("go.mod is not tidy (go mod tidy): %v\n%s", err, out)
}

// TestGenerated runs the generators of the committed documents and compares.
func TestGenerated(t *testing.T) {
	for _, g := range []struct {
		path string
		args []string
	}{
		{"docs/commands.md", []string{"run", "./cmd/synap", "--print-commands"}},
	} {
		want, err := exec.Command("go", g.args...).Output()
		if err != nil {
			t.Errorf("%s: %v", g.path, err)
			continue
		}
		got, err := os.ReadFile(g.path)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is stale: make docs (%v)", g.path, err)
		}
	}
}

// TestDifferencesAreListed ties the deviations that tests allow to the entries
// of docs/differences.md.
func TestDifferencesAreListed(t *testing.T) {
	doc, err := os.ReadFile("docs/differences.md")
	if err != nil {
		t.Fatal(err)
	}
	entry := regexp.MustCompile(`(?m)^differs (.+)$`)
	scripts, _ := filepath.Glob("command/testdata/*.txt")
	for _, path := range scripts {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range entry.FindAllSubmatch(text, -1) {
			if !bytes.Contains(doc, bytes.TrimSpace(m[1])) {
				t.Errorf("%s: %q is not in docs/differences.md", path, m[1])
			}
		}
	}
	text, err := os.ReadFile("tests/differences_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^\t\{"(.+?)", func`).FindAllSubmatch(text, -1) {
		if !bytes.Contains(doc, m[1]) {
			t.Errorf("tests/differences_test.go: %q is not in docs/differences.md", m[1])
		}
	}
}
