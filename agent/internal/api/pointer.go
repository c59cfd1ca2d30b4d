package api

import (
	"path/filepath"
	"strings"

	"gopkg.in/yaml.v3"
)

// explain turns the places of mistakes in the connection's file into places in the request.
func explain(err error, data []byte, id string) error {
	p := problemOf(err)
	if p == nil {
		return err
	}
	var doc yaml.Node
	if yaml.Unmarshal(data, &doc) != nil || len(doc.Content) == 0 {
		return p
	}
	for i, e := range p.Errors {
		if e.File == "" || filepath.Base(e.File) != id+".yaml" {
			continue
		}
		p.Errors[i].Pointer = pointerAt(&doc, e.Line, e.Column, id)
		p.Errors[i].File, p.Errors[i].Line, p.Errors[i].Column = "", 0, 0
	}
	if len(p.Errors) > 0 {
		p.Title, p.Detail = "the connection cannot be made like that", p.Errors[0].Message
	}
	return p
}

// pointerAt is the field of the request behind a place of the connection's file.
func pointerAt(doc *yaml.Node, line, column int, id string) string {
	path := ""
	var find func(n *yaml.Node, at []string) bool
	find = func(n *yaml.Node, at []string) bool {
		for i := 0; i+1 < len(n.Content) && n.Kind == yaml.MappingNode; i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			here := append(at[:len(at):len(at)], key.Value)
			if key.Line == line && key.Column == column || value.Line == line && value.Column == column || find(value, here) {
				if path == "" {
					path = strings.Join(here, ".")
				}
				return true
			}
		}
		for _, c := range n.Content {
			if n.Kind == yaml.SequenceNode && (c.Line == line && c.Column == column || find(c, at)) {
				if path == "" {
					path = strings.Join(at, ".")
				}
				return true
			}
		}
		return false
	}
	find(doc.Content[0], nil)
	key, ok := strings.CutPrefix(path, "outputs."+id+".")
	switch {
	case ok && fieldOf[key] != "":
		return "/" + fieldOf[key]
	case ok:
		return "/options/" + strings.ReplaceAll(key, ".", "/")
	case strings.HasPrefix(path, "connection."):
		return "/" + strings.TrimPrefix(path, "connection.")
	}
	return ""
}
