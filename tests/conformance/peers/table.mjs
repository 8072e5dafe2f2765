// Prints what came of the suite, one column per cache, as Markdown:
// node table.mjs SUITE 'nginx 1.22.1=FILE'…, each FILE being what run.mjs printed.

import fs from 'fs'
import os from 'os'
import path from 'path'
import { pathToFileURL } from 'url'

const [suite, ...columns] = process.argv.slice(2)
const home = path.join(suite, 'node_modules/http-cache-tests')
const load = file => import(pathToFileURL(path.join(home, file)))
const { default: sets } = await load('tests/index.mjs')
const { default: surrogate } = await load('tests/surrogate-control.mjs')
const { version } = JSON.parse(fs.readFileSync(path.join(home, 'package.json')))

const caches = columns.map(column => {
  const at = column.indexOf('=')
  return { title: column.slice(0, at), outcomes: JSON.parse(fs.readFileSync(column.slice(at + 1))) }
})

const passed = (ids, kind, outcomes) => {
  const all = ids.filter(id => outcomes[id]?.kind === kind)
  return all.length ? `${all.filter(id => outcomes[id].outcome === true).length}/${all.length}` : '–'
}
const row = (name, ids) => {
  const cells = caches.map(({ outcomes }) => ['required', 'optimal'].map(kind => passed(ids, kind, outcomes)).join(' · '))
  console.log(`| ${[name, ...cells].join(' | ')} |`)
}

// As run.mjs has them.
const groups = [...new Set([...sets, surrogate])]
const ids = some => some.flatMap(group => group.tests).map(test => test.id)

const date = new Date().toISOString().slice(0, 10)
const programs = `http-cache-tests ${version}, Node ${process.versions.node}`
console.log(`${date}, ${os.cpus().length} cores, ${programs}. Each cell: required passed/all · optimal passed/all.`)
console.log()
console.log(`| tests | ${caches.map(({ title }) => title).join(' | ')} |`)
console.log(`|---|${caches.map(() => '---|').join('')}`)
groups.forEach(group => row(group.name, ids([group])))
row('**all**', ids(groups))
// Not of RFC 9111, and not in the suite's own list.
row('**all but Surrogate-Control**', ids(groups.filter(group => group !== surrogate)))
