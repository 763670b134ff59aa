"""COMPRESS, RFC 4978: from its OK on, both sides compress."""

from services.imap.context import Context, arguments_of
from services.imap.protocol.arguments import Command, CompressArguments
from services.imap.protocol.responses import Reply, build_bad, build_ok


async def handle_compress(context: Context, command: Command) -> Reply | None:
    # RFC 4978 §3: BAD for an unknown mechanism and when COMPRESS is active already
    if arguments_of(command, CompressArguments).algorithm != "DEFLATE":
        return build_bad("Unknown compression mechanism")
    if context.client.compressed:
        return build_bad("DEFLATE is active already", "COMPRESSIONACTIVE")
    context.client.write(build_ok("DEFLATE active").render(command.tag))
    await context.client.start_compression()
    return None
