/** Data of five public shapes, made here: the same on every machine, and nobody's. */
export interface Shape {
  readonly name: string
  readonly data: unknown
}

/** Numbers below 1 in an order that does not change. */
const numbers = (seed: number) => () => {
  seed = Math.imul(seed ^ seed >>> 15, 0x2C1B3C6D) + 0x9E3779B9 | 0
  seed = Math.imul(seed ^ seed >>> 13, 0x297A2D39)
  return ((seed ^= seed >>> 16) >>> 0) / 2 ** 32
}

const words = {
  first: [
    "Ada",
    "Grace",
    "Alan",
    "Edsger",
    "Barbara",
    "Donald",
    "Frances",
    "Niklaus",
    "Radia",
    "Łukasz",
    "Zoë",
    "Jürgen"
  ],
  last: ["Meyer", "Okafor", "Silva", "Nguyen", "Kowalski", "Haddad", "Tanaka", "O'Brien", "García", "Lindqvist"],
  city: ["Berlin", "Nairobi", "São Paulo", "Hanoi", "Kraków", "Beirut", "Osaka", "Cork", "Sevilla", "Uppsala"],
  department: ["Engineering", "Operations", "Sales", "Research", "Support"],
  product: ["Desk lamp", "Keyboard, mechanical", "Monitor 27\"", "USB-C cable 2 m", "Notebook A5", "Headphones"],
  status: ["pending", "paid", "shipped", "delivered", "returned"],
  path: ["/v1/orders", "/v1/orders/42/items", "/health", "/v1/users/me", "/assets/app.js"],
  trouble: ["upstream timed out", "connection reset by peer", "token has expired", "no such row: orders/42"]
} as const

class Maker {
  private readonly next: () => number
  constructor(seed: number) {
    this.next = numbers(seed)
  }
  upTo(end: number): number {
    return Math.floor(this.next() * end)
  }
  of<A>(values: ReadonlyArray<A>): A {
    return values[this.upTo(values.length)]!
  }
  decimal(end: number, digits: number): number {
    return Number((this.next() * end).toFixed(digits))
  }
  hex(length: number): string {
    return Array.from({ length }, () => this.upTo(16).toString(16)).join("")
  }
  many<A>(count: number, make: (index: number) => A): ReadonlyArray<A> {
    return Array.from({ length: count }, (_, index) => make(index))
  }
  time(index: number): string {
    return new Date(Date.UTC(2026, 0, 5, 8) + index * 61_000 + this.upTo(60_000)).toISOString()
  }
}

const employees = (make: Maker) => ({
  employees: make.many(100, (index) => {
    const [first, last] = [make.of(words.first), make.of(words.last)]
    return {
      id: 1000 + index,
      name: `${first} ${last}`,
      email: `employee${1000 + index}@example.com`,
      department: make.of(words.department),
      city: make.of(words.city),
      salary: 38_000 + make.upTo(900) * 100,
      yearsOfService: make.upTo(25),
      active: make.upTo(10) > 0
    }
  })
})

const orders = (make: Maker) => ({
  orders: make.many(40, (index) => ({
    orderId: `ORD-${String(index + 1).padStart(5, "0")}`,
    placedAt: make.time(index),
    status: make.of(words.status),
    customer: { id: make.upTo(900), name: `${make.of(words.first)} ${make.of(words.last)}`, city: make.of(words.city) },
    items: make.many(1 + make.upTo(5), () => ({
      sku: make.hex(8).toUpperCase(),
      name: make.of(words.product),
      quantity: 1 + make.upTo(4),
      price: make.decimal(300, 2)
    })),
    ...(make.upTo(3) === 0 ? { note: "Leave it with the neighbour, please." } : {})
  }))
})

const places = (make: Maker) => ({
  type: "FeatureCollection",
  features: make.many(40, (index) => {
    const area = make.upTo(3) === 0
    const point = () => [make.decimal(180, 5), make.decimal(90, 5)]
    return {
      type: "Feature",
      id: index,
      properties: {
        name: `${make.of(words.city)} ${index}`,
        population: make.upTo(900_000),
        capital: make.upTo(9) === 0
      },
      geometry: area
        ? { type: "Polygon", coordinates: [make.many(8, point)] }
        : { type: "Point", coordinates: point() }
    }
  })
})

const log = (make: Maker) =>
  make.many(120, (index) => ({
    time: make.time(index),
    level: make.of(["info", "info", "info", "warn", "error"]),
    requestId: make.hex(16),
    method: make.of(["GET", "GET", "POST", "DELETE"]),
    path: make.of(words.path),
    status: make.of([200, 200, 201, 404, 500]),
    durationMs: make.decimal(900, 1),
    ...(make.upTo(4) === 0 ? { error: { message: make.of(words.trouble), retries: make.upTo(4) } } : {})
  }))

const config = (make: Maker) => ({
  service: { name: "orders", version: "4.2.0", labels: { team: "checkout", tier: "1" } },
  http: {
    listen: { host: "0.0.0.0", port: 8080, tls: { enabled: true, minVersion: "1.3", ciphers: [] } },
    limits: { body: "1mb", headers: "16kb", timeouts: { read: 5000, write: 10_000, idle: 60_000 } },
    cors: { origins: ["https://shop.example.com", "https://admin.example.com"], credentials: false }
  },
  database: {
    primary: {
      url: "postgres://db.internal/orders",
      pool: { min: 2, max: 20, idleTimeout: "30s" },
      retry: { attempts: 3, backoff: { kind: "exponential", base: 100, cap: 2000 } }
    },
    replicas: [{ url: "postgres://db-2.internal/orders", weight: 2 }, { url: "postgres://db-3.internal/orders" }]
  },
  features: Object.fromEntries(
    make.many(6, (index) => [
      `feature-${index}`,
      { enabled: make.upTo(2) === 0, rollout: { percent: make.upTo(101), groups: make.upTo(2) === 0 ? ["beta"] : [] } }
    ])
  ),
  logging: {
    level: "info",
    sinks: [{ kind: "stdout", format: "json" }, { kind: "file", path: "/var/log/orders.log", rotate: { keep: 7 } }]
  }
})

export const shapes: ReadonlyArray<Shape> = [
  { name: "employee table: 100 rows, flat", data: employees(new Maker(1)) },
  { name: "orders: 40, with line items", data: orders(new Maker(2)) },
  { name: "GeoJSON: 40 features", data: places(new Maker(3)) },
  { name: "log: 120 lines, some with an error", data: log(new Maker(4)) },
  { name: "configuration: nested deeply", data: config(new Maker(5)) }
]
