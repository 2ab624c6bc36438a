// The package has no types of its own.
declare module "moleculer-prometheus" {
  const schema: object;
  export default schema;
}
