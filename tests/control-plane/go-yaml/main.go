// Reads YAML as Kubernetes' Go programs do, for tests that compare. Texts come on stdin, each behind its length (four
// bytes, little endian); for each text one line of JSON goes to stdout.
//
//	go-yaml document   each text is one document: {"json": …} or {"error": …}
//	go-yaml stream     each text is a stream:     {"documents": […], "error": …}
//	go-yaml time       each text is a stream:     {"nanoseconds": the shortest of ten times that reading it took}
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	sigs "sigs.k8s.io/yaml"
)

type answer struct {
	JSON      json.RawMessage   `json:"json,omitempty"`
	Documents []json.RawMessage `json:"documents,omitempty"`
	Error     string            `json:"error,omitempty"`
	// How long reading took.
	Nanoseconds int64 `json:"nanoseconds,omitempty"`
}

// The reader of streams ends every line, the last one too.
func document(text []byte) (found answer) {
	if len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	value, err := sigs.YAMLToJSON(text)
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{JSON: value}
}

// As kubectl and Helm read a manifest: k8s.io/cli-runtime passes over what is null.
func stream(text []byte) (found answer) {
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		raw := runtime.RawExtension{}
		if err := decoder.Decode(&raw); err != nil {
			if !errors.Is(err, io.EOF) {
				found.Error = err.Error()
			}
			return found
		}
		raw.Raw = bytes.TrimSpace(raw.Raw)
		if len(raw.Raw) > 0 && !bytes.Equal(raw.Raw, []byte("null")) {
			found.Documents = append(found.Documents, raw.Raw)
		}
	}
}

// The first reading grows the heap, so several are tried.
func timed(text []byte) (found answer) {
	for range 10 {
		start := time.Now()
		if read := stream(text); read.Error != "" {
			return read
		}
		took := time.Since(start).Nanoseconds()
		if found.Nanoseconds == 0 || took < found.Nanoseconds {
			found.Nanoseconds = took
		}
	}
	return found
}

// A reader that panics has not read.
func safely(read func([]byte) answer, text []byte) (found answer) {
	defer func() {
		if panicked := recover(); panicked != nil {
			found = answer{Error: fmt.Sprint("panic: ", panicked)}
		}
	}()
	return read(text)
}

func run(read func([]byte) answer) error {
	in, out := bufio.NewReaderSize(os.Stdin, 1<<20), bufio.NewWriter(os.Stdout)
	for {
		var length uint32
		if err := binary.Read(in, binary.LittleEndian, &length); err != nil {
			if errors.Is(err, io.EOF) {
				return out.Flush()
			}
			return err
		}
		text := make([]byte, length)
		if _, err := io.ReadFull(in, text); err != nil {
			return err
		}
		line, err := json.Marshal(safely(read, text))
		if err != nil {
			return err
		}
		if _, err := out.Write(append(line, '\n')); err != nil {
			return err
		}
		// Whoever asks for one answer waits for it.
		if in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				return err
			}
		}
	}
}

func main() {
	readers := map[string]func([]byte) answer{"document": document, "stream": stream, "time": timed}
	read := readers["document"]
	if len(os.Args) > 1 {
		read = readers[os.Args[1]]
	}
	if read == nil {
		fmt.Fprintln(os.Stderr, "go-yaml: usage: go-yaml [document|stream|time]")
		os.Exit(2)
	}
	if err := run(read); err != nil {
		fmt.Fprintln(os.Stderr, "go-yaml:", err)
		os.Exit(1)
	}
}
