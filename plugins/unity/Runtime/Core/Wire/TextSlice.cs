using System.Text;

namespace Llia.Core
{
    /// <summary>UTF-8 text within a buffer, not yet a string: comparing it makes no garbage.</summary>
    internal struct TextSlice
    {
        private static readonly UTF8Encoding s_strict = new UTF8Encoding(false, true);

        public readonly byte[] Buffer;
        public readonly int Offset;
        public readonly int Count;

        public TextSlice(byte[] buffer, int offset, int count)
        {
            Buffer = buffer;
            Offset = offset;
            Count = count;
        }

        public bool Is(byte[] other, int otherCount)
        {
            if (otherCount != Count)
            {
                return false;
            }
            for (var i = 0; i < Count; i++)
            {
                if (Buffer[Offset + i] != other[i])
                {
                    return false;
                }
            }
            return true;
        }

        /// <summary>Compares with ASCII text.</summary>
        public bool Is(string ascii)
        {
            if (ascii.Length != Count)
            {
                return false;
            }
            for (var i = 0; i < Count; i++)
            {
                if (Buffer[Offset + i] != ascii[i])
                {
                    return false;
                }
            }
            return true;
        }

        /// <summary>FNV-1a.</summary>
        public uint Hash()
        {
            var hash = 2166136261u;
            for (var i = 0; i < Count; i++)
            {
                hash = (hash ^ Buffer[Offset + i]) * 16777619u;
            }
            return hash;
        }

        /// <summary>The number it shows in decimal digits; -1 if it shows none below 10^18.</summary>
        public long ToNumber()
        {
            if (Count == 0 || Count > 18)
            {
                return -1;
            }
            long value = 0;
            for (var i = 0; i < Count; i++)
            {
                var digit = Buffer[Offset + i] - '0';
                if (digit < 0 || digit > 9)
                {
                    return -1;
                }
                value = value * 10 + digit;
            }
            return value;
        }

        /// <exception cref="MalformedMessageException">It is no UTF-8.</exception>
        public string ToText()
        {
            if (Count == 0)
            {
                return "";
            }
            try
            {
                return s_strict.GetString(Buffer, Offset, Count);
            }
            catch (DecoderFallbackException)
            {
                throw new MalformedMessageException("a text is no UTF-8");
            }
        }
    }

    /// <summary>A text that seldom changes: the same bytes give the same string again, without garbage.</summary>
    internal sealed class CachedText
    {
        private byte[] m_bytes = new byte[64];
        private int m_count;
        private string m_text = "";

        public string Of(TextSlice slice)
        {
            if (slice.Count == 0)
            {
                return "";
            }
            if (slice.Is(m_bytes, m_count))
            {
                return m_text;
            }
            var text = slice.ToText();
            if (slice.Count > m_bytes.Length)
            {
                m_bytes = new byte[slice.Count];
            }
            System.Buffer.BlockCopy(slice.Buffer, slice.Offset, m_bytes, 0, slice.Count);
            m_count = slice.Count;
            m_text = text;
            return text;
        }
    }
}
