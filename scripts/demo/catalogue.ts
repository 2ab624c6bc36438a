// What the demo shop sells. Prices in minor units. Names are unique: a product is known by its name.

export interface DemoSku {
  readonly attributes: Readonly<Record<string, string>>;
  readonly price: number;
  readonly stock: number;
}

export interface DemoProduct {
  readonly name: string;
  readonly description: string;
  readonly category: string;
  readonly skus: readonly DemoSku[];
}

type Row = readonly [name: string, description: string, price: number, stock: number];

/** A product with one SKU. */
const single = (category: string, rows: readonly Row[]): DemoProduct[] =>
  rows.map(([name, description, price, stock]) => ({
    name,
    description,
    category,
    skus: [{ attributes: {}, price, stock }],
  }));

/** A product with one SKU for each value of one attribute, all at the same price. */
const variants = (
  category: string,
  attribute: string,
  rows: readonly (readonly [...Row, values: readonly string[]])[],
): DemoProduct[] =>
  rows.map(([name, description, price, stock, values]) => ({
    name,
    description,
    category,
    skus: values.map((value) => ({ attributes: { [attribute]: value }, price, stock })),
  }));

export const DEMO_CATEGORIES = ["Phones", "Computers", "Audio", "Clothing", "Kitchen", "Books"];

export const DEMO_PRODUCTS: readonly DemoProduct[] = [
  ...variants("Phones", "storage", [
    ["Aurora X1", "6.1 inch phone with a bright display", 399_900, 120, ["128 GB", "256 GB"]],
    ["Aurora X1 Max", "6.8 inch phone for long days", 499_900, 80, ["256 GB", "512 GB"]],
    ["Pebble Mini", "Small phone that fits every pocket", 249_900, 150, ["64 GB", "128 GB"]],
    ["Terra 5G", "Rugged phone for outdoors", 319_900, 60, ["128 GB"]],
  ]),
  ...single("Phones", [["Fold Nine", "Folding phone, a limited edition", 899_900, 10]]),
  ...variants("Computers", "memory", [
    ["Slate 14", "14 inch laptop, 1.1 kg", 699_900, 40, ["16 GB", "32 GB"]],
    ["Slate 16 Pro", "16 inch laptop for heavy work", 1_199_900, 25, ["32 GB", "64 GB"]],
  ]),
  ...single("Computers", [
    ["Cube Desktop", "Silent desktop computer", 549_900, 30],
    ["Wide 34 Monitor", "34 inch curved monitor", 289_900, 45],
    ["Click Keyboard", "Mechanical keyboard with hot-swap switches", 59_900, 200],
  ]),
  ...variants("Audio", "colour", [
    ["Drift Buds", "Wireless earbuds with noise cancelling", 89_900, 300, ["black", "white"]],
    ["Hush Over-Ear", "Headphones for quiet travel", 159_900, 120, ["black", "sand", "blue"]],
  ]),
  ...single("Audio", [
    ["Porch Speaker", "Weatherproof speaker", 69_900, 90],
    ["Spin Turntable", "Belt-driven turntable", 219_900, 20],
    ["Studio Mic", "Microphone for voice and streams", 99_900, 55],
  ]),
  ...variants("Clothing", "size", [
    ["Everyday Tee", "Heavy cotton T-shirt", 9_900, 500, ["S", "M", "L", "XL"]],
    ["Harbour Jacket", "Rain jacket with taped seams", 79_900, 70, ["S", "M", "L"]],
    ["Trail Runner", "Running shoe for soft ground", 69_900, 110, ["40", "41", "42", "43"]],
    ["Merino Socks", "Two pairs", 6_900, 400, ["S", "L"]],
    ["Linen Shirt", "Breathes in summer", 29_900, 160, ["S", "M", "L", "XL"]],
  ]),
  ...single("Kitchen", [
    ["Cast Iron Pan", "28 cm, seasoned", 24_900, 140],
    ["Pour-Over Set", "Dripper, server and 100 filters", 18_900, 180],
    ["Chef's Knife", "20 cm blade, Damascus steel", 49_900, 75],
    ["Rice Cooker", "1.8 litres with timer", 39_900, 95],
    ["Tea Sampler", "Twelve teas from four provinces", 12_900, 260],
  ]),
  ...single("Books", [
    ["The Patient Engineer", "On building things that last", 7_900, 320],
    ["Queues and Crowds", "Why waiting lines behave as they do", 8_900, 210],
    ["A Ledger of Small Things", "Stories", 5_900, 340],
    ["Noodles at Midnight", "Sixty recipes", 9_900, 190],
    ["Field Guide to Clouds", "With 120 plates", 10_900, 130],
  ]),
];

/** The first one is the login that the summary shows. */
export const DEMO_CUSTOMERS = [
  { email: "demo@shop.test", nickname: "Demo" },
  { email: "mei@shop.test", nickname: "Mei" },
  { email: "jonas@shop.test", nickname: "Jonas" },
] as const;

export const DEMO_ADDRESS = {
  recipient: "Demo Customer",
  phone: "+86 21 5555 0100",
  country: "CN",
  region: "Shanghai",
  city: "Shanghai",
  street: "100 Century Avenue",
  postal_code: "200120",
} as const;
