using System;
using System.Globalization;

namespace Llia.Core
{
    /// <summary>
    /// Reads msgpack from a buffer, bounded: no size is believed that the bytes left cannot hold, nesting ends at
    /// <see cref="MaxDepth"/>. Makes no garbage. All methods throw <see cref="MalformedMessageException"/>.
    /// </summary>
    internal sealed class MsgpackReader
    {
        public const int MaxDepth = 8;

        private byte[] m_buffer = new byte[0];
        private int m_position;
        private int m_end;

        public int Position
        {
            get { return m_position; }
            set { m_position = value; }
        }

        public bool AtEnd
        {
            get { return m_position == m_end; }
        }

        public void Reset(byte[] buffer, int offset, int count)
        {
            m_buffer = buffer;
            m_position = offset;
            m_end = offset + count;
        }

        public int ReadMapHeader()
        {
            var code = Byte();
            var count = code >= 0x80 && code <= 0x8f ? code & 0x0f
                : code == 0xde ? Unsigned(2)
                : code == 0xdf ? Unsigned(4)
                : throw Wrong("a map", code);
            return Plausible(count, 2);
        }

        public int ReadArrayHeader()
        {
            var code = Byte();
            var count = code >= 0x90 && code <= 0x9f ? code & 0x0f
                : code == 0xdc ? Unsigned(2)
                : code == 0xdd ? Unsigned(4)
                : throw Wrong("a list", code);
            return Plausible(count, 1);
        }

        public TextSlice ReadText()
        {
            var code = Byte();
            var count = code >= 0xa0 && code <= 0xbf ? code & 0x1f
                : code == 0xd9 ? Unsigned(1)
                : code == 0xda ? Unsigned(2)
                : code == 0xdb ? Unsigned(4)
                : throw Wrong("a text", code);
            var slice = new TextSlice(m_buffer, m_position, Plausible(count, 1));
            m_position += slice.Count;
            return slice;
        }

        public bool ReadBool()
        {
            var code = Byte();
            if (code != 0xc2 && code != 0xc3)
            {
                throw Wrong("a bool", code);
            }
            return code == 0xc3;
        }

        public long ReadInt()
        {
            var code = Byte();
            if (code < 0x80)
            {
                return code;
            }
            if (code >= 0xe0)
            {
                return (sbyte)code;
            }
            switch (code)
            {
                case 0xcc: return (long)Bits(1);
                case 0xcd: return (long)Bits(2);
                case 0xce: return (long)Bits(4);
                case 0xcf:
                    var large = Bits(8);
                    if (large > long.MaxValue)
                    {
                        throw new MalformedMessageException("an integer exceeds 63 bits");
                    }
                    return (long)large;
                case 0xd0: return (sbyte)Bits(1);
                case 0xd1: return (short)Bits(2);
                case 0xd2: return (int)Bits(4);
                case 0xd3: return (long)Bits(8);
                default: throw Wrong("an integer", code);
            }
        }

        public int ReadInt(int low, int high, string field)
        {
            var value = ReadInt();
            if (value < low || value > high)
            {
                throw new MalformedMessageException(field + " is " + value.ToString(CultureInfo.InvariantCulture)
                    + "; " + low.ToString(CultureInfo.InvariantCulture) + " to "
                    + high.ToString(CultureInfo.InvariantCulture) + " is possible");
            }
            return (int)value;
        }

        /// <summary>A number of any kind.</summary>
        public double ReadNumber()
        {
            Need(1);
            var code = m_buffer[m_position];
            if (code == 0xcb)
            {
                m_position++;
                return BitConverter.Int64BitsToDouble((long)Bits(8));
            }
            if (code == 0xca)
            {
                m_position++;
                return Single((uint)Bits(4));
            }
            return ReadInt();
        }

        /// <summary>Passes over a value of any kind.</summary>
        public void Skip()
        {
            Skip(0);
        }

        private void Skip(int depth)
        {
            if (depth > MaxDepth)
            {
                throw new MalformedMessageException("values are nested too deep");
            }
            var code = Byte();
            if (code < 0x80 || code >= 0xe0 || code == 0xc0 || code == 0xc2 || code == 0xc3)
            {
                return;
            }
            if (code <= 0x8f)
            {
                SkipMany(2 * Plausible(code & 0x0f, 2), depth);
            }
            else if (code <= 0x9f)
            {
                SkipMany(Plausible(code & 0x0f, 1), depth);
            }
            else if (code <= 0xbf)
            {
                m_position += Plausible(code & 0x1f, 1);
            }
            else
            {
                SkipCoded(code, depth);
            }
        }

        private void SkipCoded(int code, int depth)
        {
            switch (code)
            {
                case 0xc4: case 0xd9: m_position += Plausible(Unsigned(1), 1); break;
                case 0xc5: case 0xda: m_position += Plausible(Unsigned(2), 1); break;
                case 0xc6: case 0xdb: m_position += Plausible(Unsigned(4), 1); break;
                case 0xc7: Advance(1 + Plausible(Unsigned(1), 1)); break;
                case 0xc8: Advance(1 + Plausible(Unsigned(2), 1)); break;
                case 0xc9: Advance(1 + Plausible(Unsigned(4), 1)); break;
                case 0xcc: case 0xd0: Advance(1); break;
                case 0xcd: case 0xd1: case 0xd4: Advance(2); break;
                case 0xd5: Advance(3); break;
                case 0xca: case 0xce: case 0xd2: Advance(4); break;
                case 0xd6: Advance(5); break;
                case 0xcb: case 0xcf: case 0xd3: Advance(8); break;
                case 0xd7: Advance(9); break;
                case 0xd8: Advance(17); break;
                case 0xdc: SkipMany(Plausible(Unsigned(2), 1), depth); break;
                case 0xdd: SkipMany(Plausible(Unsigned(4), 1), depth); break;
                case 0xde: SkipMany(2 * Plausible(Unsigned(2), 2), depth); break;
                case 0xdf: SkipMany(2 * Plausible(Unsigned(4), 2), depth); break;
                default: throw Wrong("a value", code);
            }
        }

        private void SkipMany(int count, int depth)
        {
            for (var i = 0; i < count; i++)
            {
                Skip(depth + 1);
            }
        }

        private void Advance(int count)
        {
            Need(count);
            m_position += count;
        }

        private int Byte()
        {
            Need(1);
            return m_buffer[m_position++];
        }

        private ulong Bits(int bytes)
        {
            Need(bytes);
            ulong value = 0;
            for (var i = 0; i < bytes; i++)
            {
                value = (value << 8) | m_buffer[m_position++];
            }
            return value;
        }

        private int Unsigned(int bytes)
        {
            var value = Bits(bytes);
            return value > int.MaxValue / 4 ? int.MaxValue / 4 : (int)value;
        }

        /// <summary>Entries of at least so many bytes have to fit into what is left.</summary>
        private int Plausible(int count, int bytesEach)
        {
            if ((long)count * bytesEach > m_end - m_position)
            {
                throw new MalformedMessageException("a size exceeds the message");
            }
            return count;
        }

        private void Need(int count)
        {
            if (m_end - m_position < count)
            {
                throw new MalformedMessageException("the message ends too soon");
            }
        }

        /// <summary>IEEE 754 single precision from its bits, without the byte array that BitConverter needs.</summary>
        private static double Single(uint bits)
        {
            var sign = bits >> 31 == 0 ? 1.0 : -1.0;
            var exponent = (int)(bits >> 23 & 0xff);
            var fraction = bits & 0x7fffff;
            if (exponent == 0xff)
            {
                return fraction == 0 ? sign * double.PositiveInfinity : double.NaN;
            }
            return exponent == 0
                ? sign * fraction * Math.Pow(2, -149)
                : sign * (fraction | 0x800000) * Math.Pow(2, exponent - 150);
        }

        private static MalformedMessageException Wrong(string wanted, int code)
        {
            return new MalformedMessageException(wanted + " is expected, not 0x"
                + code.ToString("x2", CultureInfo.InvariantCulture));
        }
    }
}
