using System.Collections.Generic;

namespace Llia.Core
{
    /// <summary>A map of names to numbers, read again and again: while the names stay, it makes no garbage.</summary>
    public sealed class NamedNumbers
    {
        private const int MaxNames = 64;

        private readonly List<string> m_names = new List<string>();
        private readonly List<CachedText> m_cache = new List<CachedText>();
        private readonly List<double> m_values = new List<double>();

        public int Count
        {
            get { return m_names.Count; }
        }

        public string Name(int index)
        {
            return m_names[index];
        }

        public double Value(int index)
        {
            return m_values[index];
        }

        /// <summary>The value of a name, or what stands for a missing one.</summary>
        public double Get(string name, double missing)
        {
            var index = m_names.IndexOf(name);
            return index < 0 ? missing : m_values[index];
        }

        internal void Clear()
        {
            m_names.Clear();
            m_values.Clear();
        }

        internal void Add(string name, double value)
        {
            m_names.Add(name);
            m_values.Add(value);
        }

        internal void CopyTo(NamedNumbers other)
        {
            other.Clear();
            for (var i = 0; i < Count; i++)
            {
                other.Add(m_names[i], m_values[i]);
            }
        }

        internal void Read(MsgpackReader reader)
        {
            Clear();
            var count = reader.ReadMapHeader();
            if (count > MaxNames)
            {
                throw new MalformedMessageException("a map has " + count + " entries; " + MaxNames + " are possible");
            }
            for (var i = 0; i < count; i++)
            {
                if (i == m_cache.Count)
                {
                    m_cache.Add(new CachedText());
                }
                var name = m_cache[i].Of(reader.ReadText());
                Add(name, reader.ReadNumber());
            }
        }
    }
}
