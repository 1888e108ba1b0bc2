// The same page in Go: net/http, a goroutine per call, html/template.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"log"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

type item struct {
	Title, Author, Text, Price, URL, Image, Badge string
}

type section struct {
	Name  string
	Title string
	Items []item
}

var client = &http.Client{
	Timeout: 60 * time.Second,
	// As many idle connections as there are calls in flight; two per service are the default.
	Transport: &http.Transport{MaxIdleConnsPerHost: 512},
}

func fetch(name, url string) (*section, error) {
	response, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered with status %d", name, response.StatusCode)
	}
	found := &section{Name: name}
	return found, json.NewDecoder(response.Body).Decode(found)
}

func main() {
	page := template.Must(template.ParseFiles(os.Args[2]))
	services := strings.Fields(os.Getenv("SERVICES"))
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		sections := make([]*section, len(services))
		errors := make([]error, len(services))
		var group sync.WaitGroup
		for index, service := range services {
			group.Add(1)
			go func(index int, name, url string) {
				defer group.Done()
				sections[index], errors[index] = fetch(name, url)
			}(index, service[:strings.Index(service, "=")], service[strings.Index(service, "=")+1:])
		}
		group.Wait()
		for _, err := range errors {
			if err != nil {
				log.Print(err)
				http.Error(w, "a service failed", http.StatusInternalServerError)
				return
			}
		}
		var body bytes.Buffer
		if err := page.Execute(&body, sections); err != nil {
			log.Print(err)
			http.Error(w, "the template failed", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(body.Bytes())
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}
