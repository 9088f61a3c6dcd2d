// A process of its own that has nothing but a key and the address of a Weft peer: reads a
// bee or a drive from it, and tells the parent what is in there.

import { once } from 'node:events'
import net from 'node:net'
import Corestore from 'corestore'
import Hyperbee from 'hyperbee'
import Hyperdrive from 'hyperdrive'
import { join2 } from './peers.mjs'

const [kind, hexKey, address, folder] = process.argv.slice(2)
const key = Buffer.from(hexKey, 'hex')
const store = new Corestore(folder)
await store.ready()
const [host, port] = address.split(':')
const socket = net.connect(Number(port), host)
await once(socket, 'connect')
join2(store.replicate(true), socket)

const told = []
if (kind === 'bee') {
  const core = store.get({ key })
  const bee = new Hyperbee(core, { keyEncoding: 'utf-8', valueEncoding: 'json' })
  await bee.ready()
  await core.update({ wait: true })
  for await (const entry of bee.createReadStream()) told.push([entry.key, entry.value])
} else {
  const drive = new Hyperdrive(store, key)
  await drive.ready()
  await drive.core.update({ wait: true })
  for await (const { key: name } of drive.list('/')) {
    told.push([name, (await drive.get(name)).toString('hex')])
  }
}
process.send(told, () => process.exit(0))
