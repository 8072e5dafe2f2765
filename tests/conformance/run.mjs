// Runs the public suite against one cache and prints, as JSON, what came of each of its tests:
// {"ID": {"kind": "required" | "optimal" | "check", "outcome": true | "what went wrong"}, …}
//
// To be run in the folder that holds `node_modules`. The cache's origin must be the suite's own server.

import http from 'http'
import { createRequire } from 'module'
import path from 'path'
import { pathToFileURL } from 'url'

// A healthy run takes 20 s.
const SECONDS_MAX = 180
// An answer that never comes fails its own test, and not the whole run.
const REQUEST_SECONDS_MAX = 20

const [base, ...more] = process.argv.slice(2)
if (!/^http:\/\//.test(base || '') || more.length) {
  console.error('usage: node run.mjs http://HOST:PORT')
  process.exit(64)
}

// Looked for where it is run: this file stands among the sources, where nothing is installed.
const here = createRequire(path.join(process.cwd(), 'package.json'))
let suite
try {
  suite = here.resolve('http-cache-tests/package.json')
} catch {
  console.error(`http-cache-tests is not installed in ${process.cwd()}: scripts/test installs it`)
  process.exit(69)
}
const load = file => import(pathToFileURL(path.join(path.dirname(suite), file)))
const fetch = createRequire(suite)('node-fetch')
const { runTests, getResults } = await load('client/runner.mjs')
const { default: sets } = await load('tests/index.mjs')
const { default: surrogate } = await load('tests/surrogate-control.mjs')

// As the suite's own command line does, but not twice should a later version list it.
const chosen = [...new Set([...sets, surrogate])]
// Browsers have tests of their own, which the runner leaves out.
const tests = chosen.flatMap(set => set.tests).filter(test => !test.browser_only)

// Said by the suite's modules in passing, on the stream that is to hold nothing but the document.
console.log = console.error

// What Node does by default differs by version. So nothing that one test left in a connection reaches another.
const agent = new http.Agent({ keepAlive: false })
const bounded = (url, init) => fetch(url, { ...init, agent, timeout: REQUEST_SECONDS_MAX * 1000 })

setTimeout(() => {
  const results = getResults()
  const waiting = tests.map(test => test.id).filter(id => !(id in results))
  const some = waiting.slice(0, 5).join(', ')
  console.error(`not finished in ${SECONDS_MAX} s; ${waiting.length} tests have no result yet, among them ${some}`)
  process.exit(1)
}, SECONDS_MAX * 1000).unref()

await runTests(chosen, bounded, false, base.replace(/\/+$/, ''))

const results = getResults()
const outcome = ({ id }) => (Array.isArray(results[id]) ? results[id].join(': ') : results[id])
const entries = tests.map(test => [test.id, { kind: test.kind || 'required', outcome: outcome(test) }])
const document = Object.fromEntries(entries.sort(([one], [other]) => (one < other ? -1 : 1)))
process.stdout.write(JSON.stringify(document, null, 2) + '\n')
