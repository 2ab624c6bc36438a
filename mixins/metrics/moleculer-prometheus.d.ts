declare module "moleculer-prometheus" {
  const schema: object;
  export default schema;
}
