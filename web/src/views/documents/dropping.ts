// Files and folders as they are dropped or picked, each with its path.

export interface Given {
  file: File
  path: string
}

/** All files of what was dropped, those of folders too; hidden ones are left out. */
export async function dropped(transfer: DataTransfer): Promise<Given[]> {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null)
  if (!entries.length) return [...transfer.files].map((file) => ({ file, path: file.name }))
  return (await Promise.all(entries.map((entry) => below(entry)))).flat()
}

export function picked(files: FileList | null): Given[] {
  return [...(files ?? [])].filter((file) => !file.name.startsWith('.')).map((file) => ({ file, path: file.webkitRelativePath || file.name }))
}

async function below(entry: FileSystemEntry): Promise<Given[]> {
  if (entry.name.startsWith('.')) return []
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject))
    return [{ file, path: entry.fullPath.replace(/^\//, '') }]
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader()
  const found: Given[] = []
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject))
    if (!some.length) return found
    for (const one of some) found.push(...(await below(one)))
  }
}
