namespace Llia.Core
{
    /// <summary>
    /// A header that comes from the daemon: a map with text keys in any order, of which unknown ones are passed over.
    /// Instances are read into again and again; what does not change makes no garbage.
    /// </summary>
    internal abstract class WireMessage
    {
        public const int Version = 1;
        public const int MaxEntries = 64;

        /// <summary>Finds the type of the header in the reader, which stands at its beginning and stays there.</summary>
        /// <exception cref="MalformedMessageException">It is no header of this protocol version.</exception>
        public static TextSlice PeekType(MsgpackReader reader, out long version)
        {
            var start = reader.Position;
            var type = default(TextSlice);
            version = -1;
            var count = MapHeader(reader);
            for (var i = 0; i < count && (type.Buffer == null || version < 0); i++)
            {
                switch (Keys.Find(reader.ReadText()))
                {
                    case "v":
                        version = reader.ReadInt();
                        break;
                    case "type":
                        type = reader.ReadText();
                        break;
                    default:
                        reader.Skip();
                        break;
                }
            }
            if (type.Buffer == null || version < 0)
            {
                throw new MalformedMessageException("a header has no v or no type");
            }
            reader.Position = start;
            return type;
        }

        /// <summary>Reads the header; fields that are missing take their defaults.</summary>
        /// <exception cref="MalformedMessageException">A field has the wrong type or is out of its bounds.</exception>
        public void Read(MsgpackReader reader)
        {
            Clear();
            var count = MapHeader(reader);
            for (var i = 0; i < count; i++)
            {
                var key = Keys.Find(reader.ReadText());
                if (key == null || !ReadField(key, reader))
                {
                    reader.Skip();
                }
            }
        }

        /// <summary>Sets all fields to their defaults.</summary>
        protected abstract void Clear();

        /// <summary>Reads the field's value; false if the message has no such field.</summary>
        protected abstract bool ReadField(string key, MsgpackReader reader);

        private static int MapHeader(MsgpackReader reader)
        {
            var count = reader.ReadMapHeader();
            if (count > MaxEntries)
            {
                throw new MalformedMessageException("a header has " + count + " fields; " + MaxEntries + " are possible");
            }
            return count;
        }
    }
}
