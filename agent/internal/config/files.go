package config

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/adrian207/siemd/agent"
)

// maxPEM is far above the largest bundle of authorities.
const maxPEM = 4 << 20

// files reads what the keys of config with a file tag name: certificates and
// private keys. What cannot be used is told to ps here, with its place, rather
// than when the component is built, and a component whose files change is
// another one: their contents go into sum. Keys that n does not give are left out.
func (l *loader) files(ps *agent.Problems, n *yaml.Node, config any, sum hash.Hash) {
	if l.opt.NoSecrets {
		return
	}
	f := fileReader{ps: ps, sum: sum}
	f.walk(n, reflect.ValueOf(config).Elem())
	l.cfg.Sources = append(slices.Clip(l.cfg.Sources), f.paths...)
}

// filesHash stands for the contents of the files that a component reads: empty
// if there are none.
func (l *loader) filesHash(ps *agent.Problems, n *yaml.Node, config any) string {
	before, sum := len(l.cfg.Sources), sha256.New()
	l.files(ps, n, config, sum)
	if len(l.cfg.Sources) == before {
		return ""
	}
	text := "-" + hex.EncodeToString(sum.Sum(nil))[:16]
	if l.sum != nil {
		l.sum.Write([]byte(text))
	}
	return text
}

type fileReader struct {
	ps    *agent.Problems
	sum   hash.Hash
	paths []string
}

// walk reads the files of the struct v, which was decoded from n.
func (f *fileReader) walk(n *yaml.Node, v reflect.Value) {
	var pair [2][]byte // a certificate and its key
	var at *yaml.Node
	for i := range v.NumField() {
		sf := v.Type().Field(i)
		name, opts, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		what := sf.Tag.Get("file")
		switch {
		case opts == "inline":
			f.walk(n, v.Field(i))
			continue
		case name == "" || name == "-":
			continue
		}
		value := valueOf(n, name)
		switch {
		case value == nil:
		case sf.Type.Kind() == reflect.Struct && value.Kind == yaml.MappingNode:
			f.walk(value, v.Field(i))
		case what == "" || v.Field(i).String() == "" || f.ps.StandIns[value]:
		default:
			data := f.read(value, v.Field(i).String(), what)
			switch name {
			case "cert_file":
				pair[0] = data
			case "key_file":
				pair[1], at = data, value
			}
		}
	}
	if pair[0] == nil || pair[1] == nil {
		return
	}
	if _, err := tls.X509KeyPair(pair[0], pair[1]); err != nil {
		f.ps.Add(at, "give the key that the first certificate of cert_file was made for", "key_file does not belong to cert_file: %s", strings.TrimPrefix(err.Error(), "tls: "))
	}
}

// valueOf is the value of a key that n gives itself, or nil.
func valueOf(n *yaml.Node, key string) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return agent.Find(n.Content[i+1], "")
		}
	}
	return nil
}

// read is the content of the file at path if it is what was asked for.
func (f *fileReader) read(n *yaml.Node, path, what string) []byte {
	f.paths = append(f.paths, path)
	data, err := readPEM(path, what)
	fmt.Fprintf(f.sum, "%s %x %v\n", path, sha256.Sum256(data), err)
	if err != nil {
		hint := "name a PEM file with a " + what
		switch {
		case errors.Is(err, fs.ErrNotExist):
			hint = "name a file that is there"
		case errors.Is(err, fs.ErrPermission):
			hint = "the user that siemd runs as must be able to read it, for example 0640 with siemd's group"
		}
		f.ps.Add(n, hint, "%s", reason(err))
		return nil
	}
	if what == "key" && worldReadable(path) {
		f.ps.Warn(n, "chmod 0640 "+path+", and make it the group of the user that siemd runs as", "everybody on this machine can read the private key %s", path)
	}
	return data
}

func readPEM(path, what string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular(): // a pipe would make us wait for ever
		return nil, fmt.Errorf("%s is no regular file", path)
	case info.Size() > maxPEM:
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxPEM)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for rest := data; ; {
		var block *pem.Block
		switch block, rest = pem.Decode(rest); {
		case block == nil:
			return nil, fmt.Errorf("%s holds no %s in PEM", path, what)
		case what == "certificate" && block.Type == "CERTIFICATE", what == "key" && strings.HasSuffix(block.Type, "PRIVATE KEY"):
			return data, nil
		}
	}
}

// reason is err for people: what the system calls the failure, without what the program called.
func reason(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return fmt.Sprintf("%s: %s", pe.Path, pe.Err)
	}
	return err.Error()
}
