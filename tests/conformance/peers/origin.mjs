// Starts the suite's own origin, on 127.0.0.1 alone. By itself it listens on every address.

import net from 'net'
import path from 'path'
import { pathToFileURL } from 'url'

const [suite, port] = process.argv.slice(2)
const listen = net.Server.prototype.listen
net.Server.prototype.listen = function (number) {
  return listen.call(this, Number(number), '127.0.0.1')
}
process.env.npm_config_protocol = 'http'
process.env.npm_config_port = port
// It does not start without a file to write its process id to.
process.env.npm_config_pidfile = '/dev/null'
await import(pathToFileURL(path.join(suite, 'node_modules/http-cache-tests/server/server.mjs')))
