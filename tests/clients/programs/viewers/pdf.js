// pdf.js: reads the text of one page, and loads only the ranges of the document that it needs.
import { getDocument, GlobalWorkerOptions } from "pdfjs-dist";

GlobalWorkerOptions.workerSrc = "/node_modules/pdfjs-dist/build/pdf.worker.mjs";

export async function read({ viewer }) {
  const task = getDocument({ url: viewer + "document.pdf", disableAutoFetch: true, disableStream: true });
  const file = await task.promise;
  const { items } = await (await file.getPage(33)).getTextContent();
  return { pages: file.numPages, text: items.map((item) => item.str).join("") };
}
