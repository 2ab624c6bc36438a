// What a browser is shown instead of a product page for which there is no copy. Static on purpose: it
// asks for nothing, so that it costs nothing when everything else is short.

export const DEGRADED_PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Back in a moment</title>
<style>
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: #f6f5f2;
  color: #22211f; font: 1.05rem/1.6 system-ui, sans-serif; }
main { max-width: 30rem; padding: 2rem; text-align: center; }
h1 { font-size: 1.6rem; margin: 0 0 .5rem; }
p { margin: .5rem 0; color: #55534e; }
</style>
</head>
<body>
<main>
<h1>Very many people are here</h1>
<p>This page takes a break so that orders go through. Orders you have placed are safe.</p>
<p>Please try again in a moment.</p>
</main>
</body>
</html>
`;
